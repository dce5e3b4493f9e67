"""Start a cluster on EC2, or change what may be changed of one that runs: `deploy/aws/launch.sh --help`.

Makes what CloudFormation cannot or should not make itself: the secrets, as SecureStrings in the parameter store, and a
note of the image that the stack runs on, so that a later update does not bring a newer one. What is there stays.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import secrets
import sys
import time
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "template.yaml"
STACK_POLICY = HERE / "stack_policy.json"
PUBLIC_IMAGE = "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id"
OWN_HOSTS = "10.0.2.11:27017,10.0.2.12:27017,10.0.2.13:27017"
ANSWER_SECONDS = 1800.0


class CannotLaunch(Exception):
    """What was asked for contradicts what is there."""


def main(arguments: Sequence[str]) -> int:
    chosen = parse_arguments(arguments)
    session = boto3.Session(region_name=chosen.region)
    try:
        parameters = prepare(session.client("ssm"), chosen, os.environ.get("MONGO_URI", ""))
        outputs = launch(session.client("cloudformation"), chosen.stack, parameters)
    except (BotoCoreError, ClientError, WaiterError, CannotLaunch) as error:
        print(f"launch: {error}", file=sys.stderr)
        return 1
    for name, value in sorted(outputs.items()):
        print(f"{name:<16} {value}")
    if chosen.no_wait:
        return 0
    return 0 if wait_for_answer(outputs["GatewayUrl"], ANSWER_SECONDS) else 1


def parse_arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="deploy/aws/launch.sh",
        description="Start a cluster on EC2, with the credentials of your AWS configuration. With MONGO_URI in the"
        " environment the masters use that MongoDB, else they run a replica set of their own.",
    )
    parser.add_argument("--stack", default="dfs", help="the stack's name (dfs)")
    parser.add_argument("--region", help="default: that of your AWS configuration")
    parser.add_argument("--key-name", required=True, help="the key pair for ssh")
    parser.add_argument("--admin-cidr", required=True, help="your address, e.g. 198.51.100.7/32, for ssh")
    parser.add_argument("--repository-url", required=True, help="git repository that the hosts clone, by https")
    parser.add_argument("--ref", default="main", help="tag, branch or commit to run (main)")
    parser.add_argument("--no-bastion", action="store_true", help="no way in by ssh to masters and workers")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the template")
    parser.add_argument("--no-wait", action="store_true", help="do not wait until the gateway answers")
    return parser.parse_args(arguments)


def prepare(store: Any, chosen: argparse.Namespace, mongo_uri: str) -> dict[str, str]:
    """Make the secrets and the note of the image where they are missing; returns the template's parameters."""
    prefix = f"/{chosen.stack}"
    names = {name: f"{prefix}/{name}" for name in ("cluster-secret", "mongo-uri", "image")}
    make_if_missing(store, names["cluster-secret"], secrets.token_hex(32), "SecureString")
    make_if_missing(store, names["mongo-uri"], mongo_uri or own_mongo_uri(), "SecureString")
    stored_uri = store.get_parameter(Name=names["mongo-uri"], WithDecryption=True)["Parameter"]["Value"]
    if mongo_uri not in ("", stored_uri):
        raise CannotLaunch(f"{names['mongo-uri']} holds another MONGO_URI; change it there, or unset MONGO_URI")
    make_if_missing(store, names["image"], store.get_parameter(Name=PUBLIC_IMAGE)["Parameter"]["Value"], "String")
    return {
        "KeyName": chosen.key_name,
        "AdminCidr": chosen.admin_cidr,
        "RepositoryUrl": chosen.repository_url,
        "RepositoryRef": chosen.ref,
        "WithBastion": "false" if chosen.no_bastion else "true",
        "WithMongoDB": "true" if f"@{OWN_HOSTS}/" in stored_uri else "false",
        "SecretParameter": names["cluster-secret"],
        "MongoUriParameter": names["mongo-uri"],
        "ImageParameter": names["image"],
        **dict(text.split("=", 1) for text in chosen.set),
    }


def make_if_missing(store: Any, name: str, value: str, kind: str) -> None:
    with contextlib.suppress(store.exceptions.ParameterAlreadyExists):
        store.put_parameter(Name=name, Value=value, Type=kind, Overwrite=False)
        print(f"made {name}")


def own_mongo_uri() -> str:
    """Of the replica set on the masters, whose first start takes user and password from here."""
    return f"mongodb://dfs:{secrets.token_hex(32)}@{OWN_HOSTS}/?replicaSet=dfs&authSource=admin"


def launch(stacks: Any, stack: str, parameters: dict[str, str]) -> dict[str, str]:
    """Create the stack, or update it; returns its outputs once it is complete.

    The stack's policy refuses every change of instances and volumes: an update would replace or stop all hosts at once.
    """
    body: dict[str, Any] = {
        "StackName": stack,
        "TemplateBody": TEMPLATE.read_text(encoding="utf-8"),
        "Parameters": [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM"],
    }
    try:
        stacks.create_stack(**body, StackPolicyBody=STACK_POLICY.read_text(encoding="utf-8"))
        waiter = "stack_create_complete"
    except stacks.exceptions.AlreadyExistsException:
        try:
            stacks.update_stack(**body)
        except ClientError as error:
            if "No updates are to be performed" not in str(error):
                raise
            return outputs_of(stacks, stack)
        waiter = "stack_update_complete"
    print(f"waiting for the stack {stack}, some minutes ...", flush=True)
    stacks.get_waiter(waiter).wait(StackName=stack)
    return outputs_of(stacks, stack)


def outputs_of(stacks: Any, stack: str) -> dict[str, str]:
    outputs: Iterable[dict[str, str]] = stacks.describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    return {output["OutputKey"]: output["OutputValue"] for output in outputs}


def wait_for_answer(url: str, seconds: float) -> bool:
    """Until the gateway answers; the hosts install themselves meanwhile."""
    print("waiting until the gateway answers, some minutes more ...", flush=True)
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at:
        if is_healthy(url):
            print(f"the gateway answers: {url}")
            return True
        time.sleep(5.0)
    print("the gateway does not answer; see /var/log/cloud-init-output.log on its host", file=sys.stderr)
    return False


def is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}health", timeout=5) as answer:  # noqa: S310 - always http
            return bool(answer.status == 200)
    except (OSError, http.client.HTTPException):
        return False


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
