"""What an EC2 host runs at its first start, as far as that can be tried without one."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
import yaml

from common.config import Config, load_config
from deploy.aws import launch, replica_set, write_secrets
from tests.support.aws import emulated_aws
from tests.support.environment import SECRET, clear_settings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "aws"
VOLUME, DISK = "vol-0123abc", "nvme-Amazon_Elastic_Block_Store_vol0123abc"


@pytest.mark.parametrize("script", sorted(FOLDER.glob("*.sh")), ids=lambda path: path.name)
def test_a_shell_understands_every_script(script: Path) -> None:
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


def test_a_host_runs_the_branch_tag_or_commit_that_was_asked_for(tmp_path: Path) -> None:
    origin, settings, said = tmp_path / "origin", tmp_path / "aws.env", tmp_path / "said"
    own_script = origin / "deploy" / "aws" / "set_up_host.sh"
    own_script.parent.mkdir(parents=True)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(origin), "-c", "user.name=n", "-c", "user.email=n@example.org", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "-b", "main")
    for text, naming in (("first", ("tag", "v1")), ("second", ("branch", "release")), ("third", ("tag", "v3"))):
        own_script.write_text(f'echo "{text} in $1" >{said}\n', encoding="utf-8")
        git("add", ".")
        git("commit", "-m", text)
        git(*naming)
    text = first_script()
    assert text.count("/etc/dfs/aws.env") == 1
    text = text.replace("/etc/dfs/aws.env", str(settings))
    for asked, expected in (
        ("release", "second"),
        ("main", "third"),
        ("v1", "first"),
        (git("rev-parse", "v1"), "first"),
    ):
        settings.write_text(f"REPOSITORY_URL='{origin}'\nREPOSITORY_REF='{asked}'\n", encoding="utf-8")
        subprocess.run(["bash", "-c", text], capture_output=True, check=True)
        assert said.read_text(encoding="utf-8").startswith(f"{expected} in /"), asked


def first_script() -> str:
    """What cloud-init starts, as it stands in the template."""
    lines = (FOLDER / "template.yaml").read_text(encoding="utf-8").partition("Fn::Base64: !Sub |\n")[2]
    user_data = lines.partition("\n  Gateway:\n")[0]
    files = yaml.safe_load(user_data)["write_files"]
    return next(str(file["content"]) for file in files if file["path"] == "/usr/local/sbin/dfs-set-up")


class Host:
    """A disk in a file, and in place of what needs a real one a program that writes down how it was called."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.fstab, self._calls = folder / DISK, folder / "fstab", folder / "calls"
        self._programs = folder / "bin"
        self._programs.mkdir()
        self.disk.write_bytes(bytes(16 * 1024 * 1024))
        self.fstab.write_text("LABEL=root / ext4 defaults 0 1\n", encoding="utf-8")
        self._calls.touch()
        for name in ("systemctl", "mount", "mountpoint", "mkfs.xfs"):
            program = self._programs / name
            # A disk that is really formatted, as ext4: what matters is that something is found on it afterwards.
            work = f'mkfs.ext4 -q "{self.disk}"' if name == "mkfs.xfs" else f"[ {name} != mountpoint ]"
            program.write_text(f'#!/bin/sh\necho "{name} $*" >>"{self._calls}"\n{work}\n', encoding="utf-8")
            program.chmod(0o755)

    def mount(self) -> subprocess.CompletedProcess[str]:
        search = f"{self._programs}:{os.environ['PATH']}:/usr/sbin:/sbin"
        return subprocess.run(
            [str(FOLDER / "mount_volume.sh"), VOLUME, str(self.disk.parent / "data")],
            env={"PATH": search, "DFS_TEST_DISKS": str(self.disk.parent), "DFS_TEST_FSTAB": str(self.fstab)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def was_formatted(self) -> bool:
        return "mkfs.xfs" in self._calls.read_text(encoding="utf-8")

    def uuid(self) -> str:
        command = ["/usr/sbin/blkid", "-p", "-s", "UUID", "-o", "value", str(self.disk)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="module")
def linux() -> None:
    """These scripts are for Linux hosts, and use its tools for disks."""
    if sys.platform != "linux":
        pytest.skip("EC2 hosts run Linux")


@pytest.fixture
def host(linux: None, tmp_path: Path) -> Host:
    for program in ("blkid", "wipefs", "mkfs.ext4"):
        assert shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"), f"{program} is needed"
    return Host(tmp_path)


def test_a_blank_volume_is_formatted_once_and_mounted_by_its_uuid(host: Host) -> None:
    assert host.mount().returncode == 0
    assert host.was_formatted()
    uuid = host.uuid()
    first = host.fstab.read_text(encoding="utf-8")
    assert host.mount().returncode == 0
    assert (host.uuid(), host.fstab.read_text(encoding="utf-8")) == (uuid, first)
    root, data = first.splitlines()
    assert root == "LABEL=root / ext4 defaults 0 1"
    assert data.split()[:2] == [f"UUID={uuid}", str(host.disk.parent / "data")]


def test_a_volume_with_a_file_system_keeps_it(host: Host) -> None:
    subprocess.run(["/usr/sbin/mkfs.ext4", "-q", str(host.disk)], check=True)
    uuid = host.uuid()
    assert host.mount().returncode == 0
    assert not host.was_formatted()
    assert host.uuid() == uuid


def test_a_volume_with_anything_else_on_it_is_left_alone(host: Host) -> None:
    """Partitions are not a file system, but somebody made them."""
    table = bytearray(512)
    table[446:462] = (
        bytes([0x80, 0, 2, 0, 0x83, 0, 32, 0]) + (2048).to_bytes(4, "little") + (2048).to_bytes(4, "little")
    )
    table[510:512] = b"\x55\xaa"
    with open(host.disk, "r+b") as disk:
        disk.write(table)
    before = host.disk.read_bytes()
    done = host.mount()
    assert done.returncode == 1, done.stdout
    assert not host.was_formatted()
    assert host.disk.read_bytes() == before
    assert "data" not in host.fstab.read_text(encoding="utf-8")


def test_the_secrets_go_from_the_parameter_store_into_a_private_file_that_the_services_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clear_settings(monkeypatch)
    uri = launch.own_mongo_uri()
    start, target = str(ROOT / "deploy" / "systemd" / "paths.env"), tmp_path / ".env"
    with emulated_aws():
        store = boto3.client("ssm")
        store.put_parameter(Name="/dfs/cluster-secret", Value=SECRET, Type="SecureString")
        store.put_parameter(Name="/dfs/mongo-uri", Value=uri, Type="SecureString")
        arguments = (str(target), start, "DFS_CLUSTER_SECRET=/dfs/cluster-secret", "MONGO_URI=/dfs/mongo-uri")
        for _ in range(2):
            assert write_secrets.main(arguments) == 0
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    config = load_config(tmp_path)
    assert (config.cluster.secret, config.cluster.mongo_uri) == (SECRET, uri)
    assert config.cluster.log_dir == "/var/log/dfs"
    shown = capsys.readouterr()
    assert shown.out + shown.err == ""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    clear_settings(monkeypatch)
    monkeypatch.setenv("DFS_CLUSTER_SECRET", SECRET)
    monkeypatch.setenv("MONGO_URI", launch.own_mongo_uri())
    masters = {f"master_{n}": {"ip": f"10.0.2.{10 + n}", "port": 5099 + n} for n in (1, 2, 3)}
    (tmp_path / "config.json").write_text(json.dumps({"masters": masters}), encoding="utf-8")
    return load_config(tmp_path)


def test_the_replica_set_has_the_masters_as_members_and_the_first_is_to_lead(config: Config) -> None:
    members = replica_set.members(config)["members"]
    assert ",".join(member["host"] for member in members) == launch.OWN_HOSTS
    assert [member["priority"] for member in members] == [2, 1, 1]


def test_a_member_wants_passwords_and_listens_on_its_own_address_only(config: Config) -> None:
    lines = [line.strip() for line in replica_set.options(config, "master_2").splitlines()]
    assert "bindIp: 127.0.0.1,10.0.2.12" in lines
    assert "authorization: enabled" in lines
    assert "keyFile: /etc/mongod.key" in lines
    assert f"replSetName: {replica_set.SET_NAME}" in lines


def test_what_is_derived_from_the_password_does_not_tell_it_and_differs_by_purpose(config: Config) -> None:
    key, admin = (replica_set.derived("a-password", purpose) for purpose in ("key file", "administrator"))
    assert key != admin
    assert "a-password" not in key
    assert 6 <= len(key) <= 1024
