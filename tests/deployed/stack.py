"""The stack that `sam deploy` makes in the emulator, and what its users do with it: an operator, an agent, an approver, a gate."""

import base64
import html
import http.client
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from botocore.exceptions import ClientError
from emulator import client, credentials

ROOT = Path(__file__).resolve().parents[2]
# Where the template is that is deployed, with the functions beside it.
BUILD = Path(os.environ.get("SAYSO_TEMPLATE_FOLDER", ROOT / ".aws-sam" / "build"))
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


def sam_deploy(port, template):
    parameters = [f"{name}={value}" for name, value in PARAMETERS.items()]
    command = [SAM, "deploy", "--template-file", template, "--config-file", ROOT / "samconfig.toml"]
    command += ["--no-confirm-changeset", "--parameter-overrides", *parameters]
    told = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SAM_CLI_TELEMETRY": "0", **credentials(port)}
    return subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)


class Stack:
    def __init__(self, port, template="template.yaml"):
        self.port = port
        self.template = BUILD / template
        self.aws = lambda service: client(port, service)
        # Names that are served elsewhere, with the hosts behind them.
        self.hosts = {}
        self.deploy()
        self.key = self.register()

    def deploy(self):
        done = sam_deploy(self.port, self.template)
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

    def identity(self, resource):
        """What a resource of the template is called in the account."""
        told = self.aws("cloudformation").describe_stack_resource(StackName="sayso", LogicalResourceId=resource)
        return told["StackResourceDetail"]["PhysicalResourceId"]

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
        """A call to a Function URL or an HTTP API: MiniStack knows it by the host."""
        host, path = re.fullmatch(r"https://([^/]+)(.*)", url).groups()
        host = self.hosts.get(host, host)
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

    def link(self, address, approval_id="[0-9A-Z]{26}"):
        """The link in the newest mail to this address, once there is one."""
        for _ in range(600):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            connection.request("GET", "/_ministack/ses/messages")
            [mails] = json.loads(connection.getresponse().read())["messages"].values()
            texts = [mail["BodyText"] for mail in reversed(mails) if mail["To"] == [address]]
            if found := re.search(rf"^https://\S+/({approval_id})/[A-Za-z0-9_-]+$", "\n".join(texts), re.M):
                return found[0], found[1]
            time.sleep(0.1)
        sys.exit(f"no mail to {address}")

    def approve(self, link):
        """Reads the page and decides, as a browser would."""
        status, page = self.http("GET", link)
        assert status == 200, status
        action = html.unescape(re.search(r'<form[^>]* action="([^"]+)"', page)[1])
        code = re.sub(r"<[^>]+>|[^0-9]", "", re.search(r'<label for="code"[^>]*>(.*?)</label>', page, re.S)[1])
        secret = link.rsplit("/", 1)[1]
        form = f"secret={secret}&code={code}&note=&verdict=approve"
        status, _ = self.http("POST", action, form, content_type="application/x-www-form-urlencoded", origin="null")
        assert status == 200, status

    def approved(self, table):
        """Asks, and has it approved; gives the token."""
        asked = self.tool("request_approval", tool="drop_table", arguments={"table": table}, summary="Drop it")
        self.approve(self.link(PARAMETERS["ApproverEmail"], asked["approval_id"])[0])
        checked = self.tool("check_approval", approval_id=asked["approval_id"], wait_seconds=0)
        assert checked["status"] == "approved", checked["status"]
        return checked["approval_token"]

    def redeem(self, token, nonce):
        digest = part(token, 1)["authorization_details"][0]["digest"]
        use = {"token": token, "digest": digest, "audience": self.outputs["Audience"], "gate": "g", "nonce": nonce}
        url = self.outputs["Issuer"] + "/redeem"
        return self.http("POST", url, json.dumps(use), content_type="application/json")[0]

    def comes_back(self, approval_id, address):
        """Hands the feedback function what EventBridge would. MiniStack publishes no event of SES's, and takes none from others."""
        function = self.identity("Feedback")
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
            "destination": [address],
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
