"""An AWS in memory (moto), with what its CloudFormation leaves out of some resources handed on to its own EC2.

moto makes an instance from a template without its security groups, launch template, profile and metadata options, a
volume without encryption, a subnet without its public addresses, and addresses, gateways and route tables without tags;
its EC2 does not tell which subnet is associated with a route table. Here all those are made by calls of the EC2 API
with all that the template says, as CloudFormation itself does it, so that the API's answers mean something.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.ec2.models import ec2_backends
from moto.ec2.models.elastic_block_store import Volume
from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.models.instances import Instance
from moto.ec2.models.internet_gateways import InternetGateway
from moto.ec2.models.nat_gateways import NatGateway
from moto.ec2.models.route_tables import RouteTable
from moto.ec2.models.subnets import Subnet, SubnetRouteTableAssociation
from moto.ssm.models import Parameter, ssm_backends

REGION = "us-east-1"
_ACCOUNT = "123456789012"


@contextlib.contextmanager
def emulated_aws() -> Iterator[None]:
    """Every AWS client made inside talks to an empty account of its own."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_PROFILE", raising=False)
        for resource, make in _COMPLETED.items():
            patch.setattr(resource, "create_from_cloudformation_json", _through_the_api(make))
        yield


def publish_parameter(name: str, value: str) -> None:
    """A public parameter, as AWS has them; nobody else can make one whose name begins with /aws."""
    public = Parameter(_ACCOUNT, name, value, "String", None, None, None, 0.0, 1, data_type="aws:ec2:image")
    ssm_backends[_ACCOUNT][REGION]._parameters[name].append(public)


def _through_the_api(make: Callable[[Any, dict[str, Any]], str]) -> Any:
    def create(_name: str, resource: dict[str, Any], account_id: str, region: str, **_about: Any) -> Any:
        wanted = _without_no_value(resource["Properties"])
        client = boto3.client("ec2", region_name=region)
        resource_id = make(client, wanted)
        if wanted.get("Tags"):
            client.create_tags(Resources=[resource_id], Tags=wanted["Tags"])
        return _found(ec2_backends[account_id][region], resource_id, wanted)

    return create


def _found(backend: Any, resource_id: str, wanted: dict[str, Any]) -> Any:
    kind = resource_id.partition("-")[0]
    if kind == "i":
        return backend.get_instance(resource_id)
    if kind == "vol":
        return backend.get_volume(resource_id)
    if kind == "nat":
        return backend.nat_gateways[resource_id]
    if kind == "igw":
        return backend.get_internet_gateway(resource_id)
    if kind == "subnet":
        return backend.get_subnet(resource_id)
    if kind == "rtbassoc":
        return backend.create_subnet_association(wanted["RouteTableId"], wanted["SubnetId"])
    if kind == "rtb":
        return backend.get_route_table(resource_id)
    return backend.address_by_allocation([resource_id])[0]


def _without_no_value(value: Any) -> Any:
    """moto puts None where a template says AWS::NoValue."""
    if isinstance(value, dict):
        return {key: _without_no_value(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_no_value(item) for item in value if item is not None]
    return value


def _make_instance(client: Any, wanted: dict[str, Any]) -> str:
    names = ("ImageId", "KeyName", "InstanceType", "SubnetId", "PrivateIpAddress", "SecurityGroupIds", "UserData")
    unknown = set(wanted) - {*names, "MetadataOptions", "BlockDeviceMappings", "LaunchTemplate", "Tags"}
    assert unknown <= {"IamInstanceProfile"}, unknown
    call = {name: wanted[name] for name in (*names, "MetadataOptions", "BlockDeviceMappings") if name in wanted}
    if "LaunchTemplate" in wanted:
        template = {**wanted["LaunchTemplate"], "Version": str(wanted["LaunchTemplate"]["Version"])}
        call["LaunchTemplate"] = template
        # moto takes the first from the call only, and makes a second root volume for the other.
        call = {**_of_template(client, template, "MetadataOptions", "BlockDeviceMappings"), **call}
    if "IamInstanceProfile" in wanted:
        call["IamInstanceProfile"] = {"Name": wanted["IamInstanceProfile"]}
    answer = client.run_instances(MinCount=1, MaxCount=1, **call)
    return str(answer["Instances"][0]["InstanceId"])


def _of_template(client: Any, template: dict[str, str], *names: str) -> dict[str, Any]:
    versions = client.describe_launch_template_versions(
        LaunchTemplateId=template["LaunchTemplateId"], Versions=[template["Version"]]
    )
    settings = versions["LaunchTemplateVersions"][0]["LaunchTemplateData"]
    return {name: settings[name] for name in names if name in settings}


def _make_volume(client: Any, wanted: dict[str, Any]) -> str:
    return str(client.create_volume(**{name: wanted[name] for name in wanted if name != "Tags"})["VolumeId"])


def _make_address(client: Any, wanted: dict[str, Any]) -> str:
    return str(client.allocate_address(Domain=wanted["Domain"])["AllocationId"])


def _make_nat_gateway(client: Any, wanted: dict[str, Any]) -> str:
    made = client.create_nat_gateway(SubnetId=wanted["SubnetId"], AllocationId=wanted["AllocationId"])
    return str(made["NatGateway"]["NatGatewayId"])


def _make_subnet(client: Any, wanted: dict[str, Any]) -> str:
    names = ("VpcId", "CidrBlock", "AvailabilityZone")
    subnet_id = str(client.create_subnet(**{name: wanted[name] for name in names})["Subnet"]["SubnetId"])
    client.modify_subnet_attribute(SubnetId=subnet_id, MapPublicIpOnLaunch={"Value": wanted["MapPublicIpOnLaunch"]})
    return subnet_id


def _make_internet_gateway(client: Any, _wanted: dict[str, Any]) -> str:
    return str(client.create_internet_gateway()["InternetGateway"]["InternetGatewayId"])


def _make_route_table(client: Any, wanted: dict[str, Any]) -> str:
    return str(client.create_route_table(VpcId=wanted["VpcId"])["RouteTable"]["RouteTableId"])


def _associate_route_table(client: Any, wanted: dict[str, Any]) -> str:
    return str(client.associate_route_table(**wanted)["AssociationId"])


_COMPLETED: dict[type, Callable[[Any, dict[str, Any]], str]] = {
    Instance: _make_instance,
    Volume: _make_volume,
    ElasticAddress: _make_address,
    InternetGateway: _make_internet_gateway,
    NatGateway: _make_nat_gateway,
    Subnet: _make_subnet,
    RouteTable: _make_route_table,
    SubnetRouteTableAssociation: _associate_route_table,
}
