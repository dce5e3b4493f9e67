"""The launcher deploys the template into an AWS in memory, and what EC2's API then answers is what is prescribed.

Nothing here is read from the template, but for what only the template can say: what happens when the stack is deleted.
"""

from __future__ import annotations

import base64
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from common.config import load_config
from deploy.aws import launch
from tests.support.aws import emulated_aws, publish_parameter
from tests.support.environment import SECRET, clear_settings

TEMPLATE = launch.TEMPLATE
YOU = "198.51.100.7/32"
ANYWHERE = "0.0.0.0/0"
VPC = "10.0.0.0/16"
GIVEN_URI = "mongodb://somebody:a-password@mongo.example.org/?replicaSet=rs"
ARGUMENTS = ("--key-name", "my-key", "--admin-cidr", YOU, "--repository-url", "https://example.org/dfs.git")
MAX_USER_DATA_BYTES = 16384

HOSTS = {
    "DFS_Gateway": ("gateway", "10.0.1.10", "DFS_Public_Subnet"),
    "DFS_Bastion": ("bastion", "10.0.1.20", "DFS_Public_Subnet"),
    **{f"DFS_Master_{n}": ("master", f"10.0.2.{10 + n}", "DFS_Private_Subnet") for n in (1, 2, 3)},
    **{f"DFS_Worker_{n}": ("worker", f"10.0.2.{20 + n}", "DFS_Private_Subnet") for n in (1, 2, 3, 4, 5)},
}
# Group, protocol, first and last port, from where.
INGRESS = {
    ("SG_Gateway", "tcp", 5000, 5000, ANYWHERE),
    ("SG_Gateway", "icmp", -1, -1, ANYWHERE),
    ("SG_Gateway", "tcp", 22, 22, YOU),
    ("SG_Masters_Workers", "tcp", 5000, 5400, VPC),
    ("SG_Masters_Workers", "icmp", -1, -1, VPC),
}
INGRESS_WITH_BASTION = {("SG_Masters_Workers", "tcp", 22, 22, "SG_Bastion"), ("SG_Bastion", "tcp", 22, 22, YOU)}
INGRESS_WITHOUT_BASTION = {("SG_Masters_Workers", "tcp", 22, 22, YOU)}
INGRESS_WITH_MONGODB = {("SG_MongoDB", "tcp", 27017, 27017, "SG_MongoDB")}


@dataclass(frozen=True)
class Variant:
    """What was asked for."""

    arguments: tuple[str, ...]
    mongo_uri: str

    @property
    def has_bastion(self) -> bool:
        return "--no-bastion" not in self.arguments

    @property
    def has_mongodb(self) -> bool:
        return not self.mongo_uri


@dataclass(frozen=True)
class Deployed:
    """What the API answered, of the stack's own VPC."""

    variant: Variant
    vpc: dict[str, Any]
    subnets: dict[str, dict[str, Any]]
    route_tables: dict[str, dict[str, Any]]
    internet_gateways: dict[str, dict[str, Any]]
    nat_gateways: dict[str, dict[str, Any]]
    addresses: dict[str, dict[str, Any]]
    groups: list[dict[str, Any]]
    instances: dict[str, dict[str, Any]]
    user_data: dict[str, str]
    volumes: list[dict[str, Any]]
    policies: dict[str, list[dict[str, Any]]]
    parameters: dict[str, dict[str, Any]]
    outputs: dict[str, str]

    def group_names(self) -> dict[str, str]:
        return {group["GroupId"]: group["GroupName"] for group in self.groups}


VARIANTS = {
    "everything": Variant((), ""),
    "no bastion and a given MongoDB": Variant(("--no-bastion",), GIVEN_URI),
}


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS.keys())
def deployed(request: pytest.FixtureRequest) -> Deployed:
    with emulated_aws():
        return deploy(request.param)


def deploy(variant: Variant) -> Deployed:
    ec2, iam, ssm = (boto3.client(name) for name in ("ec2", "iam", "ssm"))
    publish_parameter(launch.PUBLIC_IMAGE, "ami-1e749f67")
    ec2.create_key_pair(KeyName="my-key")
    chosen = launch.parse_arguments((*ARGUMENTS, *variant.arguments))
    parameters = launch.prepare(ssm, chosen, variant.mongo_uri)
    outputs = launch.launch(boto3.client("cloudformation"), chosen.stack, parameters)

    vpc = by_name(ec2.describe_vpcs()["Vpcs"])["DFS_VPC"]
    here = [{"Name": "vpc-id", "Values": [vpc["VpcId"]]}]
    attached = [{"Name": "attachment.vpc-id", "Values": [vpc["VpcId"]]}]
    instances = by_name([i for r in ec2.describe_instances(Filters=here)["Reservations"] for i in r["Instances"]])
    return Deployed(
        variant=variant,
        vpc=vpc,
        subnets=by_name(ec2.describe_subnets(Filters=here)["Subnets"]),
        route_tables=by_name(ec2.describe_route_tables(Filters=here)["RouteTables"]),
        internet_gateways=by_name(ec2.describe_internet_gateways(Filters=attached)["InternetGateways"]),
        nat_gateways=by_name(ec2.describe_nat_gateways(Filters=here)["NatGateways"]),
        addresses=by_name(ec2.describe_addresses()["Addresses"]),
        groups=ec2.describe_security_groups(Filters=here)["SecurityGroups"],
        instances=instances,
        user_data={name: user_data_of(ec2, instance) for name, instance in instances.items()},
        volumes=ec2.describe_volumes()["Volumes"],
        policies={name: policies_of(iam, instance) for name, instance in instances.items()},
        parameters={name: ssm.get_parameter(Name=name)["Parameter"] for name in parameters.values() if name[0] == "/"},
        outputs=outputs,
    )


def by_name(items: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By the tag Name; what has none, as the VPC's own route table, is called by its kind's id."""
    named = {tags_of(item).get("Name", ""): item for item in items}
    named.pop("", None)
    return named


def tags_of(item: Mapping[str, Any]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in item.get("Tags", [])}


def user_data_of(ec2: Any, instance: dict[str, Any]) -> str:
    answer = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    return base64.b64decode(answer["UserData"].get("Value", "")).decode()


def policies_of(iam: Any, instance: dict[str, Any]) -> list[dict[str, Any]]:
    """Every statement of every policy that the instance's profile brings."""
    if "IamInstanceProfile" not in instance:
        return []
    profile = instance["IamInstanceProfile"]["Arn"].rpartition("/")[2]
    statements = []
    for role in iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]["Roles"]:
        name = role["RoleName"]
        assert iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"] == []
        for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            # moto answers it as text that is not quite JSON, but YAML.
            statements += (yaml.safe_load(document) if isinstance(document, str) else document)["Statement"]
    return statements


def expected_hosts(variant: Variant) -> set[str]:
    return set(HOSTS) if variant.has_bastion else set(HOSTS) - {"DFS_Bastion"}


# --- network ---


def test_the_vpc_and_its_subnets_have_the_prescribed_names_and_ranges(deployed: Deployed) -> None:
    assert deployed.vpc["CidrBlock"] == VPC
    found = {name: (subnet["CidrBlock"], subnet["MapPublicIpOnLaunch"]) for name, subnet in deployed.subnets.items()}
    assert found == {"DFS_Public_Subnet": ("10.0.1.0/24", True), "DFS_Private_Subnet": ("10.0.2.0/24", False)}
    assert len({subnet["AvailabilityZone"] for subnet in deployed.subnets.values()}) == 1


def test_the_nat_gateway_stands_in_the_public_subnet_with_its_own_elastic_address(deployed: Deployed) -> None:
    assert set(deployed.nat_gateways) == {"DFS_NAT_Gateway"}
    assert set(deployed.addresses) == {"DFS_NAT_EIP"}
    gateway = deployed.nat_gateways["DFS_NAT_Gateway"]
    assert gateway["SubnetId"] == deployed.subnets["DFS_Public_Subnet"]["SubnetId"]
    allocations = [address["AllocationId"] for address in gateway["NatGatewayAddresses"]]
    assert allocations == [deployed.addresses["DFS_NAT_EIP"]["AllocationId"]]


@pytest.mark.parametrize("side", ["Public", "Private"])
def test_each_subnet_has_its_route_table_and_its_way_out(deployed: Deployed, side: str) -> None:
    assert set(deployed.route_tables) == {"DFS_Public_Route_Table", "DFS_Private_Route_Table"}
    assert set(deployed.internet_gateways) == {"DFS_IGW"}
    ways_out = {
        "Public": deployed.internet_gateways["DFS_IGW"]["InternetGatewayId"],
        "Private": deployed.nat_gateways["DFS_NAT_Gateway"]["NatGatewayId"],
    }
    table = deployed.route_tables[f"DFS_{side}_Route_Table"]
    routes = {
        route["DestinationCidrBlock"]: route.get("GatewayId") or route.get("NatGatewayId") for route in table["Routes"]
    }
    assert routes == {VPC: "local", ANYWHERE: ways_out[side]}
    subnets = [association["SubnetId"] for association in table["Associations"]]
    assert subnets == [deployed.subnets[f"DFS_{side}_Subnet"]["SubnetId"]]


def test_nothing_is_open_but_what_is_prescribed(deployed: Deployed) -> None:
    names = deployed.group_names()
    found = {
        (group["GroupName"], rule["IpProtocol"], rule.get("FromPort"), rule.get("ToPort"), source)
        for group in deployed.groups
        if group["GroupName"] != "default"
        for rule in group["IpPermissions"]
        for source in sources_of(rule, names)
    }
    expected = INGRESS | (INGRESS_WITH_BASTION if deployed.variant.has_bastion else INGRESS_WITHOUT_BASTION)
    assert found == expected | (INGRESS_WITH_MONGODB if deployed.variant.has_mongodb else set())


def test_every_group_is_found_by_its_name_and_lets_its_hosts_reach_everything(deployed: Deployed) -> None:
    expected = {"SG_Gateway", "SG_Masters_Workers"}
    expected |= {"SG_Bastion"} if deployed.variant.has_bastion else set()
    expected |= {"SG_MongoDB"} if deployed.variant.has_mongodb else set()
    groups = [group for group in deployed.groups if group["GroupName"] != "default"]
    assert {group["GroupName"] for group in groups} == expected
    for group in groups:
        assert tags_of(group)["Name"] == group["GroupName"]
        ways_out = [(rule["IpProtocol"], sources_of(rule, {})) for rule in group["IpPermissionsEgress"]]
        assert ways_out == [("-1", [ANYWHERE])]


def sources_of(rule: dict[str, Any], names: Mapping[str, str]) -> list[str]:
    assert rule.get("PrefixListIds", []) == []
    return (
        [source["CidrIp"] for source in rule["IpRanges"]]
        + [source["CidrIpv6"] for source in rule.get("Ipv6Ranges", [])]
        + [names[source["GroupId"]] for source in rule["UserIdGroupPairs"]]
    )


def test_no_host_is_in_the_default_group_and_only_masters_are_in_mongodbs(deployed: Deployed) -> None:
    expected = {}
    for name in expected_hosts(deployed.variant):
        groups = {"DFS_Gateway": {"SG_Gateway"}, "DFS_Bastion": {"SG_Bastion"}}.get(name, {"SG_Masters_Workers"})
        has_mongodb = deployed.variant.has_mongodb and HOSTS[name][0] == "master"
        expected[name] = groups | ({"SG_MongoDB"} if has_mongodb else set())
    found = {name: {group["GroupName"] for group in i["SecurityGroups"]} for name, i in deployed.instances.items()}
    assert found == expected


# --- hosts ---


def test_the_hosts_have_their_names_roles_addresses_and_subnets(deployed: Deployed) -> None:
    subnets = {subnet["SubnetId"]: name for name, subnet in deployed.subnets.items()}
    found = {
        name: (tags_of(instance)["Role"], instance["PrivateIpAddress"], subnets[instance["SubnetId"]])
        for name, instance in deployed.instances.items()
    }
    assert found == {name: HOSTS[name] for name in expected_hosts(deployed.variant)}


def test_the_key_is_yours_and_the_metadata_service_wants_a_token(deployed: Deployed) -> None:
    for name, instance in deployed.instances.items():
        options = instance["MetadataOptions"]
        assert instance["KeyName"] == "my-key", name
        assert (options["HttpTokens"], options["HttpPutResponseHopLimit"]) == ("required", 1), name


def test_every_volume_is_encrypted_and_data_has_one_of_its_own(deployed: Deployed) -> None:
    assert all(volume["Encrypted"] for volume in deployed.volumes)
    names = {instance["InstanceId"]: name for name, instance in deployed.instances.items()}
    data, roots = {}, []
    for volume in deployed.volumes:
        (attachment,) = volume["Attachments"]
        if attachment["Device"] == "/dev/sdf":
            data[names[attachment["InstanceId"]]] = (tags_of(volume)["Name"], volume["VolumeId"], volume["Size"])
        else:
            roots.append(names[attachment["InstanceId"]])
    roles = {"worker": 100, "master": 20} if deployed.variant.has_mongodb else {"worker": 100}
    expected = {name: roles[role] for name, (role, _, _) in HOSTS.items() if role in roles}
    assert {name: size for name, (_, _, size) in data.items()} == expected
    assert sorted(roots) == sorted(deployed.instances)
    for name, (volume_name, volume_id, _) in data.items():
        mappings = deployed.instances[name]["BlockDeviceMappings"]
        assert {m["DeviceName"]: m["Ebs"]["DeleteOnTermination"] for m in mappings}["/dev/sdf"] is False
        assert volume_name == f"{name}_Data"
        assert tags_of(deployed.instances[name])["Data_Volume"] == volume_id


def test_a_host_may_read_the_secret_and_nothing_else_and_only_masters_the_database(deployed: Deployed) -> None:
    def allowed(*names: str) -> list[dict[str, Any]]:
        start = "arn:aws:ssm:us-east-1:123456789012:parameter"
        resources = [f"{start}{name}" for name in names]
        return [{"Effect": "Allow", "Action": "ssm:GetParameter", "Resource": resources}]

    for name, statements in deployed.policies.items():
        role = HOSTS[name][0]
        if role == "bastion":
            assert statements == []
        elif role == "master":
            assert statements == allowed("/dfs/cluster-secret", "/dfs/mongo-uri")
        else:
            assert statements == allowed("/dfs/cluster-secret"), name


# --- what the hosts start with ---


def test_the_user_data_is_a_cloud_config_whose_configuration_names_the_real_addresses(
    deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clear_settings(monkeypatch)
    monkeypatch.setenv("DFS_CLUSTER_SECRET", SECRET)
    real = {tags_of(i).get("Node", ""): i["PrivateIpAddress"] for i in deployed.instances.values()}
    for name, text in deployed.user_data.items():
        if name == "DFS_Bastion":
            assert text == ""
            continue
        assert text.startswith("#cloud-config\n")
        assert len(text.encode()) < MAX_USER_DATA_BYTES
        (tmp_path / "config.json").write_text(written_files(text)["/etc/dfs/config.json"]["content"], encoding="utf-8")
        config = load_config(tmp_path)
        found = {node.node_id: node.ip for node in (*config.masters.values(), *config.workers.values())}
        assert {**found, "gateway": config.gateway.ip} == {node: ip for node, ip in real.items() if node}
        assert [node.port for node in config.masters.values()] == [5100, 5101, 5102]
        assert [node.port for node in config.workers.values()] == [5001, 5002, 5003, 5004, 5005]


def written_files(user_data: str) -> dict[str, dict[str, Any]]:
    return {entry["path"]: entry for entry in yaml.safe_load(user_data)["write_files"]}


def test_the_user_data_holds_no_secret(deployed: Deployed) -> None:
    secrets = [p["Value"] for name, p in deployed.parameters.items() if not name.endswith("/image")]
    assert len(secrets) == 2
    for text in deployed.user_data.values():
        assert not any(secret in text for secret in secrets)


def test_cloud_init_runs_a_script_that_a_shell_understands(deployed: Deployed, tmp_path: Path) -> None:
    text = deployed.user_data["DFS_Worker_3"]
    files = written_files(text)
    ((command,),) = yaml.safe_load(text)["runcmd"]
    assert files[command]["permissions"] == "0755"
    script = tmp_path / "dfs-set-up"
    script.write_text(files[command]["content"], encoding="utf-8")
    check_shell(script)
    settings = tmp_path / "aws.env"
    settings.write_text(files["/etc/dfs/aws.env"]["content"], encoding="utf-8")
    shown = subprocess.run(
        ["bash", "-c", f'. {settings}; echo "$REPOSITORY_URL $REPOSITORY_REF $WITH_MONGODB"'],
        capture_output=True,
        text=True,
        check=True,
    )
    has_mongodb = str(deployed.variant.has_mongodb).lower()
    assert shown.stdout.split() == ["https://example.org/dfs.git", "main", has_mongodb]


def check_shell(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)
    if shutil.which("shellcheck"):
        found = subprocess.run(["shellcheck", "--exclude=SC1091", str(script)], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


# --- the launcher ---


def test_the_secrets_are_secure_strings_and_the_database_is_the_one_asked_for(deployed: Deployed) -> None:
    kinds = {name: parameter["Type"] for name, parameter in deployed.parameters.items()}
    assert kinds == {"/dfs/cluster-secret": "SecureString", "/dfs/mongo-uri": "SecureString", "/dfs/image": "String"}
    assert ",".join(f"{ip}:27017" for ip in deployed.outputs["MasterAddresses"].split(",")) == launch.OWN_HOSTS


def test_the_outputs_say_where_to_go(deployed: Deployed) -> None:
    gateway = deployed.instances["DFS_Gateway"]
    expected = {
        "GatewayUrl": f"http://{gateway['PublicIpAddress']}:5000/",
        "GatewayAddress": gateway["PublicIpAddress"],
        "MasterAddresses": "10.0.2.11,10.0.2.12,10.0.2.13",
        "WorkerAddresses": "10.0.2.21,10.0.2.22,10.0.2.23,10.0.2.24,10.0.2.25",
    }
    if deployed.variant.has_bastion:
        expected["BastionAddress"] = deployed.instances["DFS_Bastion"]["PublicIpAddress"]
    assert deployed.outputs == expected
    public = {name for name, instance in deployed.instances.items() if "PublicIpAddress" in instance}
    assert public == expected_hosts(deployed.variant) & {"DFS_Gateway", "DFS_Bastion"}


def test_a_second_launch_keeps_the_secrets_and_the_image() -> None:
    with emulated_aws():
        store = boto3.client("ssm")
        publish_parameter(launch.PUBLIC_IMAGE, "ami-first")
        chosen = launch.parse_arguments(ARGUMENTS)
        launch.prepare(store, chosen, "")
        names = ("/dfs/cluster-secret", "/dfs/mongo-uri", "/dfs/image")
        before = [store.get_parameter(Name=name)["Parameter"]["Value"] for name in names]
        publish_parameter(launch.PUBLIC_IMAGE, "ami-second")
        again = launch.prepare(store, chosen, "")
        assert again["WithMongoDB"] == "true"
        assert [store.get_parameter(Name=name)["Parameter"]["Value"] for name in names] == before
        assert before[2] == "ami-first"
        with pytest.raises(launch.CannotLaunch, match="another MONGO_URI"):
            launch.prepare(store, chosen, GIVEN_URI)


# --- the template itself ---


def test_volumes_with_data_outlive_the_stack() -> None:
    class Loader(yaml.SafeLoader):
        """Reads CloudFormation's short forms as plain values; only the policies matter here."""

    Loader.add_multi_constructor("!", lambda _loader, _suffix, node: node.value)
    resources = yaml.load(TEMPLATE.read_text(encoding="utf-8"), Loader)["Resources"]
    volumes = [resource for resource in resources.values() if resource["Type"] == "AWS::EC2::Volume"]
    assert len(volumes) == 8
    assert {(v["DeletionPolicy"], v["UpdateReplacePolicy"]) for v in volumes} == {("Retain", "Retain")}


def test_cfn_lint_finds_nothing() -> None:
    command = [Path(sys.executable).parent / "cfn-lint", str(TEMPLATE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
