"""Looks at every IAM policy of the project by AWS's Service Authorization Reference, as parliament brings it along: that each
action exists, that it is allowed on a kind of resource that it has, and that conditions are ones that it knows.

    target/python/bin/python tests/deployed/policies.py

The policies are those of the functions' roles and of the keys in template.yaml, and those that the guides give to people.
"""

import json
import re
import sys
from pathlib import Path

from cfnlint.decode import cfn_yaml
from parliament import analyze_policy_string

ROOT = Path(__file__).resolve().parents[2]
ACCOUNT = "123456789012"
REFERENCES = {
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": ACCOUNT,
    "AWS::StackName": "sayso",
}
ARNS = {
    "AWS::DynamoDB::Table": "arn:aws:dynamodb:us-east-1:123456789012:table/sayso",
    "AWS::Logs::LogGroup": "arn:aws:logs:us-east-1:123456789012:log-group:sayso:*",
    "AWS::IAM::Role": "arn:aws:iam::123456789012:role/sayso",
    "AWS::Events::Rule": "arn:aws:events:us-east-1:123456789012:rule/sayso",
    "AWS::SNS::Topic": "arn:aws:sns:us-east-1:123456789012:sayso",
    "AWS::SQS::Queue": "arn:aws:sqs:us-east-1:123456789012:sayso",
    "AWS::KMS::Key": "arn:aws:kms:us-east-1:123456789012:key/0d1a3b4c-5e6f-7081-92a3-b4c5d6e7f809",
}
# What stands in the guides for a part of the reader's account.
PLACES = {
    "TABLE_ARN": ARNS["AWS::DynamoDB::Table"],
    "AUDIT_KEY_ARN": ARNS["AWS::KMS::Key"],
    "ENROLMENT_KEY_ARN": ARNS["AWS::KMS::Key"],
}
# Reasons why a finding is none. `*`: a resource that does not exist yet has no ARN, or the action has no other.
ACCEPTED = {
    ("RESOURCE_STAR", None),
    # AWS's own account, as AWS documents it for a transform.
    ("INVALID_ARN", "arn:aws:cloudformation:*:aws:transform/*"),
    # Newer than parliament's data: a stage's schema in the CloudFormation registry names both.
    ("UNKNOWN_ACTION", "apigateway:TagResource"),
    ("UNKNOWN_ACTION", "apigateway:UntagResource"),
}


def resolve(value, resources):
    """A part of the template as CloudFormation would hand it to IAM, with every condition met."""
    if isinstance(value, list):
        items = [resolve(item, resources) for item in value]
        return [item for item in items if item is not None]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        [(function, argument)] = value.items()
        if function == "Ref":
            if argument == "AWS::NoValue":
                return None
            # A topic's reference is its ARN.
            of_type = resources.get(argument, {}).get("Type")
            return ARNS[of_type] if of_type == "AWS::SNS::Topic" else REFERENCES.get(argument, "sayso")
        if function == "Fn::GetAtt":
            name = argument.split(".")[0] if isinstance(argument, str) else argument[0]
            # SAM makes the rule of the function's event.
            return ARNS[resources.get(name, {"Type": "AWS::Events::Rule"})["Type"]]
        if function == "Fn::Sub":
            return re.sub(r"\$\{([A-Za-z:]+)\}", lambda found: REFERENCES.get(found[1], "sayso"), str(argument))
        if function == "Fn::If":
            return resolve(argument[1], resources)
    return {key: resolve(item, resources) for key, item in value.items()}


def in_template():
    template, problems = cfn_yaml.load(str(ROOT / "template.yaml")), []
    resources = template["Resources"]
    for name, resource in resources.items():
        properties = resource.get("Properties", {})
        for policy in properties.get("Policies", []):
            yield f"template.yaml, {name}", resolve(policy["PolicyDocument"], resources)
        for document in ("PolicyDocument", "KeyPolicy"):
            if document in properties:
                yield f"template.yaml, {name}", resolve(properties[document], resources)


def in_guides():
    for guide in sorted((ROOT / "docs").glob("*.md")):
        for number, block in enumerate(re.findall(r"```json\n(.*?)```", guide.read_text(), re.S)):
            if '"Statement"' in block:
                for place, arn in PLACES.items():
                    block = block.replace(place, arn)
                yield f"docs/{guide.name}, block {number}", json.loads(block)


def is_written_out(finding, policy):
    """Whether some action that the finding is about stands in the policy by name. What a `*` takes in may have other
    resources: there the statement allows nothing, and nothing is meant."""
    actions = {action["action"] for action in finding.detail} if isinstance(finding.detail, list) else None
    if finding.issue != "RESOURCE_MISMATCH" or actions is None:
        return True
    written = set()
    for statement in policy["Statement"]:
        action = statement["Action"]
        written.update([action] if isinstance(action, str) else action)
    return bool(actions & written)


def findings(policy):
    analyzed = analyze_policy_string(json.dumps(policy), ignore_private_auditors=True)
    for finding in analyzed.findings:
        place = finding.location.get("string")
        known = {(finding.issue, None), (finding.issue, place)} & ACCEPTED
        if not known and is_written_out(finding, policy):
            yield f"{finding.issue}: {finding.detail} {place or ''}"


def unguarded(policy):
    """`ForAllValues` is true where the key is not in the request at all (IAM User Guide, "Multivalued context keys")."""
    for statement in policy["Statement"]:
        condition = statement.get("Condition", {})
        keys = {key for operator, keys in condition.items() if operator.startswith("ForAllValues") for key in keys}
        guarded = {key for key, absent in condition.get("Null", {}).items() if absent == "false"}
        for key in keys - guarded:
            yield f"{statement.get('Sid')}: ForAllValues on {key} without Null: {{{key}: \"false\"}}"


def main():
    # It finds what it is here for.
    wrong = {"Effect": "Allow", "Action": "sns:Unsubscribe", "Resource": "arn:aws:sns:*:*:sayso-*"}
    assert any(findings({"Version": "2012-10-17", "Statement": [wrong]}))
    looked_at, problems = [], []
    for name, policy in [*in_template(), *in_guides()]:
        looked_at.append(name)
        problems.extend(f"{name}: {problem}" for problem in [*findings(policy), *unguarded(policy)])
    assert len(looked_at) >= 10, looked_at
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(looked_at)} policies allow what they mean to.")


if __name__ == "__main__":
    main()
