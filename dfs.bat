@echo off
rem The command line of the Distributed File System: dfs --help
rem Uses the virtual environment dfs_env where it is there, else the installed Python with the package requests.
setlocal
set "DFS_PYTHON=%~dp0dfs_env\Scripts\python.exe"
if not exist "%DFS_PYTHON%" set "DFS_PYTHON=python"
"%DFS_PYTHON%" -c "import sys; sys.path[0] = sys.argv.pop(1); from common.cli.__main__ import run; run()" "%~dp0." %*
exit /b %errorlevel%
