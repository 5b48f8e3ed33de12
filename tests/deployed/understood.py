"""Writes .aws-sam/build/understood.yaml: what `sam build` made, without the parts of its policies that MiniStack cannot evaluate.

    target/python/bin/python tests/deployed/understood.py

It knows neither of the condition keys `dynamodb:LeadingKeys` and `ses:FromAddress`, nor the resource of SES's SendEmail (v2), and
refuses what they limit. So what they limit is not shown by it; actions, tables, keys, queues and trust are.
"""

from pathlib import Path

from samcli.yamlhelper import yaml_dump, yaml_parse

BUILD = Path(__file__).resolve().parents[2] / ".aws-sam" / "build"
UNKNOWN = {"dynamodb:LeadingKeys", "ses:FromAddress"}


def conditions(condition):
    kept = {
        operator: {key: value for key, value in keys.items() if key not in UNKNOWN} for operator, keys in condition.items()
    }
    return {operator: keys for operator, keys in kept.items() if keys}


def main():
    template, left_out = yaml_parse((BUILD / "template.yaml").read_text()), 0
    for resource in template["Resources"].values():
        for policy in resource.get("Properties", {}).get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                if "Condition" in statement:
                    statement["Condition"] = conditions(statement["Condition"])
                    if not statement["Condition"]:
                        del statement["Condition"]
                    left_out += 1
                if statement.get("Action") == "ses:SendEmail":
                    statement["Resource"] = "*"
    # Were there nothing to leave out, the template itself would do.
    assert left_out, "no policy has a condition"
    (BUILD / "understood.yaml").write_text(yaml_dump(template))


if __name__ == "__main__":
    main()
