"""Who may invoke the functions, once SAM has transformed template.yaml: everybody through a URL, which takes two permissions
since October 2025; EventBridge, for the one function that has no URL; and nobody else.

    target/python/bin/python tests/deployed/invocation.py

tests/run does it. The transformation is that of the library behind `sam`; AWS's own is the same library.
"""

from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).resolve().parents[2]
URL = {
    ("lambda:InvokeFunctionUrl", "*", "FunctionUrlAuthType", "NONE"),
    ("lambda:InvokeFunction", "*", "InvokedViaFunctionUrl", True),
}
CONDITIONS = ("FunctionUrlAuthType", "InvokedViaFunctionUrl", "SourceArn")


def permissions(resources, function):
    """Each action with its principal, and the one condition that it must have."""
    found = set()
    for resource in resources.values():
        given = resource["Properties"]
        if resource["Type"] == "AWS::Lambda::Permission" and given["FunctionName"] == {"Ref": function}:
            [condition] = [name for name in CONDITIONS if name in given]
            value = given[condition]
            rule = value["Fn::GetAtt"][0] if condition == "SourceArn" else None
            found.add((given["Action"], given["Principal"], condition, rule or value))
    return found


def main():
    template = yaml_parse((ROOT / "template.yaml").read_text())
    functions = {name: made["Properties"] for name, made in template["Resources"].items() if made["Type"] == "AWS::Serverless::Function"}
    has_url = {name: "FunctionUrlConfig" in made for name, made in functions.items()}
    for made in functions.values():
        made["CodeUri"] = "s3://code/key"
    resources = Translator({}, Parser()).translate(template, {})["Resources"]
    assert list(has_url.values()) == [True] * 4 + [False], has_url
    rules = {rule: made["Properties"]["Targets"] for rule, made in resources.items() if made["Type"] == "AWS::Events::Rule"}
    for name, public in has_url.items():
        senders = [rule for rule, targets in rules.items() if {"Fn::GetAtt": [name, "Arn"]} in [target["Arn"] for target in targets]]
        events = {("lambda:InvokeFunction", "events.amazonaws.com", "SourceArn", rule) for rule in senders}
        assert public or senders, (name, rules)
        assert permissions(resources, name) == (URL if public else events), (name, permissions(resources, name))
    print("Each function is invoked by whom it should be, and by nobody else.")


if __name__ == "__main__":
    main()
