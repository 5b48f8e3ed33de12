"""Deploys the artefacts of `sam build` into MiniStack with `sam deploy`, has `sayso deploy check` look at it, and takes
approvals through it, over a rotation of the signing key and a restored table.

    sam build --parameter-overrides Architecture=x86_64    # or arm64: this machine's
    target/ministack/bin/python tests/deployed/ministack.py

tests/run does both. MiniStack (an AWS emulator, all on loopback) transforms the SAM template, creates every resource, and runs
the binaries behind Function URLs. Template, settings (samconfig.toml) and commands are those of a deployment into AWS; only
AWS_ENDPOINT_URL differs. MiniStack sends no mail, and creates no CloudFront; a table is made without its encryption, time to live
and continuous backups.

    target/ministack/bin/python tests/deployed/ministack.py --authorized

does the same where MiniStack evaluates IAM's policies, the keys' and the roles' trust, as far as it knows them: see understood.py.

    target/ministack/bin/python tests/deployed/ministack.py COMMAND...

runs a command instead, with the URL of a MiniStack of its own in SAYSO_DYNAMODB_ENDPOINT.
"""

import base64
import html
import http.client
import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[2]
SAM = ROOT / "target" / "python" / "bin" / "sam"
PARAMETERS = {
    "SenderEmail": "sayso@example.com",
    "ApproverEmail": "alex@example.com",
    "AlarmEmail": "ops@example.com",
    "CreateIdentities": "sender-and-approver",
    "Architecture": "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64",
}


# `aws dynamodb put-item --name value ...`
PUT_ITEM = """
import json, sys
import boto3
assert sys.argv[1:3] == ["dynamodb", "put-item"], sys.argv
given = dict(zip(sys.argv[3::2], sys.argv[4::2]))
boto3.client("dynamodb", region_name=given.pop("--region")).put_item(
    TableName=given.pop("--table-name"),
    Item=json.loads(given.pop("--item")),
    ConditionExpression=given.pop("--condition-expression"),
)
assert not given, given
"""


def credentials(port):
    """An environment that sends every AWS call to MiniStack."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def start(port, directory, authorized=False):
    """MiniStack, with an environment that sends the functions' AWS calls back to it."""
    told = {
        "AUTH": str(authorized).lower(),
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        **credentials(port),
    }
    log = open(directory / "ministack.log", "w")
    command = [Path(sys.executable).parent / "ministack"]
    process = subprocess.Popen(command, env=told, cwd=directory, stdout=log, stderr=log)
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        assert process.poll() is None, "MiniStack ended"
        time.sleep(0.1)
    process.kill()
    sys.exit("MiniStack does not answer")


def client(port, service, access_key="test", secret_key="test"):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )


class Stack:
    def __init__(self, port, template="template.yaml"):
        self.port = port
        self.template = ROOT / ".aws-sam" / "build" / template
        self.aws = lambda service: client(port, service)
        self.deploy()
        self.key = self.register()

    def deploy(self):
        parameters = [f"{name}={value}" for name, value in PARAMETERS.items()]
        command = [SAM, "deploy", "--template-file", self.template, "--config-file", ROOT / "samconfig.toml"]
        command += ["--no-confirm-changeset"]
        command += ["--parameter-overrides", *parameters]
        told = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SAM_CLI_TELEMETRY": "0", **credentials(self.port)}
        done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout + done.stderr + self.failures())
        self.outputs = self.told()

    def failures(self):
        """What CloudFormation says of each resource that failed."""
        try:
            events = self.aws("cloudformation").describe_stack_events(StackName="sayso")["StackEvents"]
        except ClientError:
            # There is no stack.
            return ""
        failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
        return "\n".join(f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed)

    def change(self, **changed):
        """Changes parameters. By UpdateStack: MiniStack's change sets, which `sam deploy` makes, see no change where
        nothing changes but a condition."""
        parameters = {**PARAMETERS, **changed}
        formation = self.aws("cloudformation")
        formation.update_stack(
            StackName="sayso",
            UsePreviousTemplate=True,
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )
        updated = formation.get_waiter("stack_update_complete")
        updated.wait(StackName="sayso", WaiterConfig={"Delay": 1, "MaxAttempts": 60})

    def told(self):
        stack = self.aws("cloudformation").describe_stacks(StackName="sayso")["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}

    def register(self):
        """Runs the stack's own command, as an operator pastes it into a shell; its AWS CLI is the same call made by boto3."""
        with tempfile.TemporaryDirectory() as directory:
            cli = Path(directory) / "aws"
            cli.write_text(f"#!{sys.executable}\n{PUT_ITEM}")
            cli.chmod(0o755)
            told = {"PATH": f"{directory}:{os.environ['PATH']}", **credentials(self.port)}
            command = ["sh", "-c", self.outputs["RegisterFirstAgent"]]
            said = subprocess.run(command, env=told, check=True, capture_output=True, text=True).stdout
        return re.fullmatch(r"Agent key, shown only now: (sayso_agent_[A-Za-z0-9_-]{43})\n", said)[1]

    def http(self, method, url, body=None, **headers):
        """A call to a Function URL: MiniStack knows the function by the host."""
        host, path = re.fullmatch(r"https://([^/]+)(.*)", url).groups()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=90)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path or "/", body, {"host": host, **headers})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def tool(self, name, **arguments):
        meta = {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "sayso-tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }
        call = {"name": name, "arguments": arguments, "_meta": meta}
        status, text = self.http(
            "POST",
            self.outputs["McpUrl"],
            json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}),
            authorization=f"Bearer {self.key}",
            accept="application/json, text/event-stream",
            content_type="application/json",
            mcp_protocol_version="2026-07-28",
            mcp_method="tools/call",
            mcp_name=name,
        )
        assert status == 200, (name, status)
        return json.loads(text)["result"]["structuredContent"]

    def approved(self, table):
        """Asks, reads the mailed page, decides as a browser would; gives the token."""
        asked = self.tool("request_approval", tool="drop_table", arguments={"table": table}, summary="Drop it")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/_ministack/ses/messages")
        mails = connection.getresponse().read().decode()
        link = re.search(rf"https://[^\s\"\\<]+/{asked['approval_id']}/[A-Za-z0-9_-]+", mails)[0]
        status, page = self.http("GET", link)
        assert status == 200, status
        action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', page)[1])
        code = re.sub(r"<[^>]+>|[^0-9]", "", re.search(r'<label for="code"[^>]*>(.*?)</label>', page, re.S)[1])
        secret = link.rsplit("/", 1)[1]
        form = f"secret={secret}&code={code}&note=&verdict=approve"
        status, _ = self.http("POST", action, form, content_type="application/x-www-form-urlencoded", origin="null")
        assert status == 200, status
        checked = self.tool("check_approval", approval_id=asked["approval_id"], wait_seconds=0)
        assert checked["status"] == "approved", checked["status"]
        return checked["approval_token"]

    def redeem(self, token, nonce):
        digest = part(token, 1)["authorization_details"][0]["digest"]
        use = {"token": token, "digest": digest, "audience": self.outputs["Audience"], "gate": "g", "nonce": nonce}
        url = self.outputs["Issuer"] + "/redeem"
        return self.http("POST", url, json.dumps(use), content_type="application/json")[0]

    def comes_back(self, approval_id):
        """Hands the feedback function what EventBridge would. MiniStack publishes no event of SES's, and takes none from others."""
        formation = self.aws("cloudformation")
        resource = formation.describe_stack_resource(StackName="sayso", LogicalResourceId="Feedback")
        function = resource["StackResourceDetail"]["PhysicalResourceId"]
        targets = [
            target["Arn"].rsplit(":", 1)[1]
            for rule in self.aws("events").list_rules()["Rules"]
            if "Email Bounced" in rule["EventPattern"] and rule["State"] == "ENABLED"
            for target in self.aws("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
        ]
        assert targets == [function], targets
        notice = self.row(f"NOTICE#{approval_id}")
        mail = {
            "timestamp": "2026-11-22T12:00:00.000Z",
            "messageId": notice["message_id"]["S"],
            "destination": [PARAMETERS["ApproverEmail"]],
            "tags": {"approval_id": [approval_id]},
        }
        bounce = {"bounceType": "Permanent", "bounceSubType": "General", "timestamp": "2026-11-22T12:00:01.000Z"}
        event = {"source": "aws.ses", "detail": {"eventType": "Bounce", "mail": mail, "bounce": bounce}}
        done = self.aws("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        assert done["StatusCode"] == 200 and "FunctionError" not in done, done["Payload"].read()

    def row(self, key):
        get = {"TableName": self.outputs["TableName"], "Key": {"pk": {"S": key}}}
        return self.aws("dynamodb").get_item(**get)["Item"]

    def published(self):
        status, keys = self.http("GET", self.outputs["JwksUrl"])
        assert status == 200, status
        return [key["kid"] for key in json.loads(keys)["keys"]]


def part(token, number):
    text = token.split(".")[number]
    return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))


def walk(stack):
    before = stack.approved("before")
    assert part(before, 1)["iss"] == stack.outputs["Issuer"]
    assert stack.published() == [part(before, 0)["kid"]]

    stack.change(SigningKeys="first-and-second")
    first, second = stack.published()
    during = stack.approved("during")
    assert first == part(before, 0)["kid"] == part(during, 0)["kid"]

    stack.change(SigningKeys="second-and-first")
    after = stack.approved("after")
    assert stack.published() == [second, first]
    assert part(after, 0)["kid"] == second

    for token in (before, during, after):
        uses = [stack.redeem(token, nonce) for nonce in ("0123456789abcdef", "another-attempt-1")]
        assert uses == [200, 409], uses


def restored(stack):
    """The runbook of docs/deploying.md: what was approved before is there, the deployment goes on, and the first table stays."""
    asked = stack.tool("request_approval", tool="drop_table", arguments={"table": "restored"}, summary="Drop it")
    first, table = stack.outputs["TableName"], "sayso-restored"
    dynamodb = stack.aws("dynamodb")
    dynamodb.update_continuous_backups(
        TableName=first, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.restore_table_to_point_in_time(
        SourceTableName=first, TargetTableName=table, UseLatestRestorableTime=True
    )
    dynamodb.get_waiter("table_exists").wait(TableName=table)
    # A restored table has none of these.
    dynamodb.update_time_to_live(
        TableName=table, TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    dynamodb.update_continuous_backups(
        TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    dynamodb.update_table(TableName=table, DeletionProtectionEnabled=True)
    # The parameters of the rotation stay as they are.
    PARAMETERS["SigningKeys"] = "second-and-first"
    PARAMETERS["ExistingTableName"] = table
    stack.change()
    stack.outputs = stack.told()
    assert stack.outputs["TableName"] == table, stack.outputs
    told = stack.tool("check_approval", approval_id=asked["approval_id"], wait_seconds=0)
    assert told["status"] == "pending", told["status"]
    token = stack.approved("after the restore")
    assert stack.redeem(token, "0123456789abcdef") == 200
    assert first in dynamodb.list_tables()["TableNames"], "the first table is retained"
    found, ready = checked(stack.port, "--table", table)
    assert ready and {found[name] for name in ("table", "protection", "expiry", "backups")} == {"ok"}, found


def named(stack):
    """Names, and the watch over keys and code, are switched on and off again. Without a hosted zone the stack takes them as they are; MiniStack has no CloudFront."""
    names = {name: f"{name.lower()}.example.com" for name in ("PageDomain", "DecideDomain", "RedeemDomain", "McpDomain")}
    stack.change(**names, WatchChanges="on")
    told = stack.told()
    assert told["Issuer"] == "https://redeemdomain.example.com", told
    assert told["McpUrl"] == "https://mcpdomain.example.com/mcp", told
    asked = stack.tool("request_approval", tool="drop_table", arguments={"table": "named"}, summary="Drop it")
    assert asked["status_url"] == f"https://pagedomain.example.com/{asked['approval_id']}", asked
    stack.change()
    assert stack.told() == stack.outputs, stack.told()
    asked = stack.tool("request_approval", tool="drop_table", arguments={"table": "unnamed"}, summary="Drop it")
    assert "example.com" not in asked["status_url"], asked


def refused(stack):
    """What an administrator may not do: sign approvals, and become decide."""
    resource = lambda name: stack.aws("cloudformation").describe_stack_resource(StackName="sayso", LogicalResourceId=name)
    identity = lambda name: resource(name)["StackResourceDetail"]["PhysicalResourceId"]
    role = stack.aws("iam").get_role(RoleName=identity("DecideRole"))["Role"]["Arn"]
    all_of_it = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    stack.aws("iam").create_user(UserName="administrator")
    stack.aws("iam").put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(all_of_it))
    key = stack.aws("iam").create_access_key(UserName="administrator")["AccessKey"]
    theirs = lambda service: client(stack.port, service, key["AccessKeyId"], key["SecretAccessKey"])
    digest = {"Message": b"0" * 32, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    # They can do what the key's policy leaves to IAM.
    theirs("kms").describe_key(KeyId=identity("SecondSigningKey"))
    for name, call in {
        "sign": lambda: theirs("kms").sign(KeyId=identity("SecondSigningKey"), **digest),
        "become decide": lambda: theirs("sts").assume_role(RoleArn=role, RoleSessionName="somebody"),
    }.items():
        try:
            call()
        except ClientError as error:
            assert error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException"), error
        else:
            sys.exit(f"an administrator can {name}")


def a_mail_comes_back(stack):
    asked = stack.tool("request_approval", tool="drop_table", arguments={"table": "bounced"}, summary="Drop it")
    stack.comes_back(asked["approval_id"])
    told = stack.tool("check_approval", approval_id=asked["approval_id"])
    assert told["status"] == "undeliverable", told["status"]


def checked(port, *table):
    """What `sayso deploy check` finds, by check; whether it says that the account is ready."""
    told = {
        "PATH": os.environ["PATH"],
        "HOME": "/nowhere",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    sayso = [ROOT / "target" / "debug" / "sayso", "--json", "--region", "us-east-1", *table]
    command = [*sayso, "deploy", "check", "--sender", PARAMETERS["SenderEmail"]]
    found = json.loads(subprocess.run(command, env=told, capture_output=True, check=False).stdout)
    return {check["check"]: check["standing"] for check in found["checks"]}, found["ready"]


def check_before(port):
    found, ready = checked(port)
    assert found["sender"] == "failed" and not ready, found


def check_after(port, table):
    """The template makes the sender's identity, and a table that is guarded; MiniStack's CloudFormation leaves out the table's
    encryption, time to live and continuous backups, which is to be found as well."""
    found, ready = checked(port, "--table", table)
    assert ready and {found[name] for name in ("sending", "sender", "limits", "table", "protection")} == {"ok"}, found
    assert {found[name] for name in ("encryption", "expiry", "backups")} == {"attention"}, found


def over_its_dynamodb(port, command):
    told = {**os.environ, "SAYSO_DYNAMODB_ENDPOINT": f"http://127.0.0.1:{port}"}
    if code := subprocess.run(command, env=told).returncode:
        sys.exit(code)
    pages = client(port, "dynamodb").get_paginator("list_tables").paginate()
    tables = sum(len(page["TableNames"]) for page in pages)
    print(f"MiniStack holds {tables} tables.")
    assert tables, "nothing was run over MiniStack"


def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as directory:
        authorized = sys.argv[1:] == ["--authorized"]
        ministack = start(port, Path(directory), authorized)
        try:
            if (command := sys.argv[1:]) and not authorized:
                over_its_dynamodb(port, command)
            else:
                check_before(port)
                stack = Stack(port, "understood.yaml" if authorized else "template.yaml")
                check_after(port, stack.outputs["TableName"])
                named(stack)
                walk(stack)
                a_mail_comes_back(stack)
                restored(stack)
                if authorized:
                    refused(stack)
                print("With its policies evaluated: " if authorized else "", end="")
                print("sam deploy deployed what sam build made: approvals went through it and two keys, names came and went, a mail came back, and a table was restored.")
        finally:
            ministack.terminate()
            ministack.wait()


if __name__ == "__main__":
    main()
