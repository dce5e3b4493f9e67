@echo off
rem Start the whole cluster on this machine: run_all_win.bat   (Ctrl-C stops it)
rem Makes the virtual environment dfs_env on the first start.
setlocal
cd /d "%~dp0"

if exist dfs_env\Scripts\python.exe goto packages
where py >nul 2>nul && (set "PYTHON=py -3") || (set "PYTHON=python")
%PYTHON% -c "import sys; sys.exit(sys.version_info < (3, 10))" 2>nul
if errorlevel 1 (
    echo run_all: Python 3.10 or newer is missing; install it from python.org and tick "Add to PATH"
    exit /b 1
)
echo Making the virtual environment dfs_env ...
%PYTHON% -m venv dfs_env
if errorlevel 1 (
    echo run_all: the virtual environment could not be made
    exit /b 1
)

:packages
fc /b requirements.txt dfs_env\.installed-requirements.txt >nul 2>nul && goto launch
echo Installing the packages of requirements.txt ...
dfs_env\Scripts\python.exe -m pip install --quiet --disable-pip-version-check -r requirements.txt
if errorlevel 1 (
    echo run_all: the packages of requirements.txt could not be installed; is there a way to a package index?
    exit /b 1
)
copy /y requirements.txt dfs_env\.installed-requirements.txt >nul

:launch
dfs_env\Scripts\python.exe -m common.launcher %*
exit /b %errorlevel%
