"""Deploys the artefacts of `sam build` into MiniStack with `sam deploy`, has `sayso deploy check` look at it, and takes
approvals through it, over a rotation of the signing key and a restored table.

    sam build --parameter-overrides Architecture=x86_64    # or arm64: this machine's
    target/ministack/bin/python tests/deployed/ministack.py

tests/run does both. MiniStack (an AWS emulator, all on loopback) transforms the SAM template, creates every resource, and runs
the binaries behind Function URLs, and behind HTTP APIs. Template, settings (samconfig.toml) and commands are those of a deployment into AWS; only
AWS_ENDPOINT_URL differs. MiniStack sends no mail, and creates no CloudFront; a table is made without its encryption, time to live
and continuous backups.

    target/ministack/bin/python tests/deployed/ministack.py --authorized

does the same where MiniStack evaluates IAM's policies, the keys' and the roles' trust, as far as it knows them: see understood.py.

    target/ministack/bin/python tests/deployed/ministack.py COMMAND...

runs a command instead, with the URL of a MiniStack of its own in SAYSO_DYNAMODB_ENDPOINT.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from botocore.exceptions import ClientError
from emulator import client, credentials, start
from stack import BUILD, PARAMETERS, ROOT, SAM, Stack, part, sam_deploy

# Whatever waits for it fails after a second, when the table, a key and the identities have been made.
NEVER_READY = """\
  Never:
    Type: AWS::CloudFormation::WaitCondition
    DependsOn: [Table, SigningKey, SenderIdentity, ApproverIdentity]
    Properties: { Count: 1, Handle: !Ref Handle, Timeout: "1" }
  Handle:
    Type: AWS::CloudFormation::WaitConditionHandle
"""


def guided(port):
    """`sam deploy --guided` as the guide has it, up to the change set: it asks for the parameters, with nothing about functions that
    have no authentication, and keeps the answers in the file that Git leaves alone."""
    template = (BUILD / "template.yaml").read_text()
    names = re.findall(r"^  (\w+):$", template.split("\nParameters:\n")[1].split("\nConditions:\n")[0], re.M)
    answers = ["", "", *(PARAMETERS.get(name, "") for name in names), *[""] * 6, "n"]
    before = (ROOT / "samconfig.toml").read_text()
    with tempfile.TemporaryDirectory() as directory:
        mine = Path(directory) / "samconfig.mine.toml"
        shutil.copy(ROOT / "samconfig.toml", mine)
        command = [SAM, "deploy", "--guided", "--template-file", BUILD / "template.yaml", "--config-file", mine]
        told = {"PATH": os.environ["PATH"], "HOME": directory, "SAM_CLI_TELEMETRY": "0", **credentials(port)}
        done = subprocess.run(command, cwd=ROOT, env=told, input="\n".join(answers) + "\n", capture_output=True, text=True)
        kept = mine.read_text()
    asked = re.findall(r"Parameter (\w+) \[", done.stdout)
    assert done.returncode == 0 and asked == names, (asked, done.stdout, done.stderr)
    assert "authentication" not in done.stdout.lower(), done.stdout
    assert "Changeset created successfully" in done.stdout and "Deploy this changeset? [y/N]" in done.stdout, done.stdout
    assert PARAMETERS["SenderEmail"] in kept and (ROOT / "samconfig.toml").read_text() == before
    stacks = client(port, "cloudformation").describe_stacks(StackName="sayso")["Stacks"]
    assert [stack["StackStatus"] for stack in stacks] == ["REVIEW_IN_PROGRESS"], stacks


def failed_at_first(port):
    """A first deployment that fails, and what the guide says to do then: nothing of it is in the way of the next."""
    aws = lambda service: client(port, service)
    template = (BUILD / "template.yaml").read_text()
    (BUILD / "failing.yaml").write_text(template.replace("\nResources:\n", f"\nResources:\n{NEVER_READY}", 1))
    failed = sam_deploy(port, BUILD / "failing.yaml")
    assert failed.returncode != 0, failed.stdout
    [stack] = aws("cloudformation").describe_stacks(StackName="sayso")["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE", stack["StackStatus"]
    [table] = aws("dynamodb").list_tables()["TableNames"]
    aws("cloudformation").delete_stack(StackName="sayso")
    aws("cloudformation").get_waiter("stack_delete_complete").wait(StackName="sayso")
    keys = [aws("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in aws("kms").list_keys()["Keys"]]
    own = [key for key in keys if key["KeyManager"] == "CUSTOMER" and key["KeyState"] != "PendingDeletion"]
    assert own == [], own
    assert aws("sesv2").list_email_identities()["EmailIdentities"] == []
    aws("dynamodb").update_table(TableName=table, DeletionProtectionEnabled=False)
    aws("dynamodb").delete_table(TableName=table)


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
    used = stack.approved("used before the restore")
    PARAMETERS["SigningKeys"] = "second-and-first"
    stack.change(Redeeming="off")
    # MiniStack's CloudFormation leaves reserved concurrency out.
    redeem = {"FunctionName": stack.identity("Redeem")}
    stack.aws("lambda").put_function_concurrency(**redeem, ReservedConcurrentExecutions=0)
    assert stack.redeem(used, "0123456789abcdef") == 429, "gates can redeem"
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
    PARAMETERS["ExistingTableName"] = table
    stack.change(Redeeming="off")
    stack.outputs = stack.told()
    assert stack.redeem(used, "0123456789abcdef") == 429, "gates can redeem before the wait is over"
    stack.change()
    stack.aws("lambda").delete_function_concurrency(**redeem)
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


def through_http_apis(stack):
    """The other front door, and back: nothing is left of the first. The issuer has a name, because MiniStack's hosts have a port,
    which its events leave out."""
    urls = lambda name: stack.aws("lambda").list_function_url_configs(FunctionName=stack.identity(name))["FunctionUrlConfigs"]
    public, outputs = ("Mcp", "Page", "Decide", "Redeem", "Enrol"), stack.outputs
    stack.change(FrontDoor="http-api", RedeemDomain="issuer.example.com")
    stack.outputs = stack.told()
    [api] = stack.aws("cloudformation").describe_stacks(StackName=stack.identity("RedeemApi"))["Stacks"]
    [url] = [output["OutputValue"] for output in api["Outputs"] if output["OutputKey"] == "Url"]
    stack.hosts = {"issuer.example.com": url.split("/")[2]}
    assert [urls(name) for name in public] == [[]] * len(public), [urls(name) for name in public]
    assert ".execute-api." in stack.outputs["McpUrl"], stack.outputs
    settings = stack.aws("lambda").get_function_configuration(FunctionName=stack.identity("Mcp"))
    assert settings["Environment"]["Variables"]["LONGEST_WAIT_SECONDS"] == "20", settings
    token = stack.approved("through HTTP APIs")
    assert part(token, 1)["iss"] == "https://issuer.example.com"
    assert [stack.redeem(token, nonce) for nonce in ("0123456789abcdef", "another-attempt-1")] == [200, 409]
    stack.change()
    assert [len(urls(name)) for name in public] == [1] * len(public)
    assert stack.aws("apigatewayv2").get_apis()["Items"] == []
    stack.outputs, stack.hosts = stack.told(), {}
    assert set(stack.outputs) == set(outputs), stack.outputs


def refused(stack):
    """What an administrator may not do: sign approvals, and become decide."""
    role = stack.aws("iam").get_role(RoleName=stack.identity("DecideRole"))["Role"]["Arn"]
    all_of_it = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    stack.aws("iam").create_user(UserName="administrator")
    stack.aws("iam").put_user_policy(UserName="administrator", PolicyName="all", PolicyDocument=json.dumps(all_of_it))
    key = stack.aws("iam").create_access_key(UserName="administrator")["AccessKey"]
    theirs = lambda service: client(stack.port, service, key["AccessKeyId"], key["SecretAccessKey"])
    digest = {"Message": b"0" * 32, "MessageType": "DIGEST", "SigningAlgorithm": "ECDSA_SHA_256"}
    # They can do what the key's policy leaves to IAM.
    theirs("kms").describe_key(KeyId=stack.identity("SecondSigningKey"))
    for name, call in {
        "sign": lambda: theirs("kms").sign(KeyId=stack.identity("SecondSigningKey"), **digest),
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
    stack.comes_back(asked["approval_id"], PARAMETERS["ApproverEmail"])
    told = stack.tool("check_approval", approval_id=asked["approval_id"])
    assert told["status"] == "undeliverable", told["status"]


def smoke(stack):
    """`sayso deploy smoke`, over HTTPS as on AWS: a proxy with an authority of its own stands for the functions' names. A person
    approves, and the mail to the simulator comes back."""
    python = ROOT / "target" / "python" / "bin" / "python"
    with tempfile.TemporaryDirectory() as directory:
        proxy = [python, ROOT / "tests" / "operator" / "proxy.py", directory, str(stack.port)]
        proxy = subprocess.Popen(proxy, stdout=subprocess.PIPE, text=True)
        try:
            told = {
                "PATH": os.environ["PATH"],
                "HOME": directory,
                "HTTPS_PROXY": proxy.stdout.readline().strip(),
                "AWS_CA_BUNDLE": f"{directory}/ca.pem",
                **credentials(stack.port),
            }
            sayso = [ROOT / "target" / "debug" / "sayso", "--region", "us-east-1", "--table", stack.outputs["TableName"]]
            sayso += ["--mcp-url", stack.outputs["McpUrl"], "--issuer", stack.outputs["Issuer"]]
            sayso += ["deploy", "smoke", "--email", "you@example.com"]
            program = subprocess.Popen(sayso, env=told, stdout=subprocess.PIPE, text=True)
            said = []
            for line in program.stdout:
                said.append(line)
                if re.match(r"ok +page ", line):
                    stack.comes_back(stack.link("bounce@simulator.amazonses.com")[1], "bounce@simulator.amazonses.com")
                if line.startswith("Open the mail"):
                    stack.approve(stack.link("you@example.com")[0])
            said = "".join(said)
            assert program.wait() == 0 and "This deployment works." in said, said
        finally:
            proxy.terminate()
            proxy.wait()
    steps = re.findall(r"^ok +(redeem again|\S+)  ", said, re.M)
    documented = (ROOT / "docs" / "not-yet-run-on-aws.md").read_text().split("## By hand")[0]
    documented = [step for row in re.findall(r"^\| (`.*?) \|", documented, re.M) for step in re.findall(r"`([^`]+)`", row)]
    assert steps == documented, (steps, documented)


def taken_down(stack):
    """The stack goes, and what the guide says stays: the table, and the keys."""
    kept = {stack.identity(name) for name in ("SecondSigningKey", "SigningKey", "AuditKey")}
    stack.aws("cloudformation").delete_stack(StackName="sayso")
    stack.aws("cloudformation").get_waiter("stack_delete_complete").wait(StackName="sayso")
    usable = {
        key["KeyId"]
        for key in stack.aws("kms").list_keys()["Keys"]
        if stack.aws("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] == "Enabled"
    }
    assert kept <= usable, (kept, usable)
    assert stack.outputs["TableName"] in stack.aws("dynamodb").list_tables()["TableNames"]
    assert stack.aws("lambda").list_functions()["Functions"] == []


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
                guided(port)
                failed_at_first(port)
                stack = Stack(port, "understood.yaml" if authorized else "template.yaml")
                check_after(port, stack.outputs["TableName"])
                smoke(stack)
                named(stack)
                through_http_apis(stack)
                walk(stack)
                a_mail_comes_back(stack)
                restored(stack)
                if authorized:
                    refused(stack)
                taken_down(stack)
                print("With its policies evaluated: " if authorized else "", end="")
                print("sam deploy deployed what sam build made: approvals went through it and two keys, names and HTTP APIs came and went, a mail came back, a table was restored, and the stack was taken down.")
        finally:
            ministack.terminate()
            ministack.wait()


if __name__ == "__main__":
    main()
