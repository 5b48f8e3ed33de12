"""Who may invoke the functions, once SAM has transformed template.yaml: everybody through a Function URL, which takes two
permissions since October 2025, or through an HTTP API, as FrontDoor says; EventBridge, for the one function that has neither;
and nobody else.

    target/python/bin/python tests/deployed/invocation.py

tests/run does it. The transformation is that of the library behind `sam`; AWS's own is the same library.
"""

from pathlib import Path

from samcli.yamlhelper import yaml_parse
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

ROOT = Path(__file__).resolve().parents[2]
# Each action with its principal, and the one condition that it must have.
URL = {
    ("lambda:InvokeFunctionUrl", "*", "FunctionUrlAuthType", "NONE"),
    ("lambda:InvokeFunction", "*", "InvokedViaFunctionUrl", True),
}
API = {("lambda:InvokeFunction", "apigateway.amazonaws.com", "SourceArn", "${Api}/*")}
CONDITIONS = ("FunctionUrlAuthType", "InvokedViaFunctionUrl", "SourceArn")
FRONT_DOORS = {"UsesFunctionUrls": "function-url", "UsesHttpApis": "http-api"}


def permissions(resources, function, front_door=None):
    """What is given on a function with this front door."""
    found = set()
    for resource in resources.values():
        given = resource["Properties"]
        if resource["Type"] != "AWS::Lambda::Permission" or given["FunctionName"] != {"Ref": function}:
            continue
        if resource.get("Condition") not in (None, front_door):
            continue
        [condition] = [name for name in CONDITIONS if name in given]
        value = given[condition]
        if condition == "SourceArn":
            # A rule, or the ARN of an API and what follows.
            value = value["Fn::GetAtt"][0] if "Fn::GetAtt" in value else value["Fn::Sub"].rsplit(":", 1)[1]
        found.add((given["Action"], given["Principal"], condition, value))
    return found


def apis(resources, front_door):
    """The functions that have an API in front of them."""
    nested = [made for made in resources.values() if made["Properties"].get("TemplateURL") == "infra/http-api.yaml"]
    shown = [made for made in nested if made["Condition"] == front_door]
    return sorted(made["Properties"]["Parameters"]["FunctionArn"]["Fn::GetAtt"][0] for made in shown)


def urls(resources, front_door):
    """The functions that have a URL."""
    made = [made for made in resources.values() if made["Type"] == "AWS::Lambda::Url" and made["Condition"] == front_door]
    return sorted(url["Properties"]["TargetFunctionArn"]["Ref"] for url in made)


def main():
    template = yaml_parse((ROOT / "template.yaml").read_text())
    nested = yaml_parse((ROOT / "infra" / "http-api.yaml").read_text())["Resources"]
    for name, condition in template["Conditions"].items():
        if name in FRONT_DOORS:
            assert condition == {"Fn::Equals": [{"Ref": "FrontDoor"}, FRONT_DOORS[name]]}, condition
    functions = [name for name, made in template["Resources"].items() if made["Type"] == "AWS::Serverless::Function"]
    for name in functions:
        template["Resources"][name]["Properties"]["CodeUri"] = "s3://code/key"
    resources = Translator({}, Parser()).translate(template, {})["Resources"]
    public = sorted(set(functions) - {"Feedback"})
    assert len(public) == 5, functions
    assert permissions(nested, "FunctionArn") == API, nested
    for front_door, (with_url, with_api) in {"UsesFunctionUrls": (public, []), "UsesHttpApis": ([], public)}.items():
        assert urls(resources, front_door) == with_url, (front_door, urls(resources, front_door))
        assert apis(resources, front_door) == with_api, (front_door, apis(resources, front_door))
        for name in public:
            found = permissions(resources, name, front_door)
            assert found == (URL if name in with_url else set()), (front_door, name, found)
    rules = {rule: made["Properties"]["Targets"] for rule, made in resources.items() if made["Type"] == "AWS::Events::Rule"}
    is_theirs = lambda targets: {"Fn::GetAtt": ["Feedback", "Arn"]} in [target["Arn"] for target in targets]
    senders = [rule for rule, targets in rules.items() if is_theirs(targets)]
    events = {("lambda:InvokeFunction", "events.amazonaws.com", "SourceArn", rule) for rule in senders}
    assert len(events) == 1 and permissions(resources, "Feedback") == events, permissions(resources, "Feedback")
    print("Each function is invoked by whom it should be, through either front door, and by nobody else.")


if __name__ == "__main__":
    main()
