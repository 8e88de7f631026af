"""Runs botocore and cfn-lint on task definitions.

Reads {"name": definition, ...} as JSON from stdin and prints {"name": {"botocore": [...], "cfn-lint": [...]}, ...}.
With --count it prints the number of definitions in which each of them finds an error.
"""
import json
import sys

import botocore.session
from botocore.validate import ParamValidator
from cfnlint.api import ManualArgs, lint

# CloudFormation's names are the API's with a capital letter, except for these. Keys of maps stay as they are.
NAMES = {
    "efsVolumeConfiguration": "EFSVolumeConfiguration",
    "iam": "IAM",
    "s3filesVolumeConfiguration": "S3FilesVolumeConfiguration",
}
MAPS = {"options", "dockerLabels", "driverOpts", "labels"}


def name(key, parent):
    if parent == "efsVolumeConfiguration" and key == "fileSystemId":
        return "FilesystemId"
    return NAMES.get(key, key[0].upper() + key[1:])


def properties(value, parent=None):
    if isinstance(value, list):
        return [properties(item, parent) for item in value]
    if isinstance(value, dict):
        return {key if parent in MAPS else name(key, parent): properties(item, key) for key, item in value.items()}
    return value


def check_with_botocore(definition):
    ecs = botocore.session.Session().get_service_model("ecs")
    report = ParamValidator().validate(definition, ecs.operation_model("RegisterTaskDefinition").input_shape)
    return report.generate_report().splitlines()


def check_with_cfn_lint(definitions):
    resources = {
        name: {"Type": "AWS::ECS::TaskDefinition", "Properties": properties(definition)}
        for name, definition in definitions.items()
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    found = {name: [] for name in definitions}
    for match in lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"])):
        if match.rule.id.startswith("E"):
            found[match.path[1]].append(f"{match.rule.id} {match.message}")
    return found


definitions = json.load(sys.stdin)
lint_found = check_with_cfn_lint(definitions)
messages = {
    name: {"botocore": check_with_botocore(definition), "cfn-lint": lint_found[name]}
    for name, definition in definitions.items()
}
if "--count" in sys.argv:
    for tool in ("botocore", "cfn-lint"):
        names = [name for name, by_tool in messages.items() if by_tool[tool]]
        print(f"{tool}: {len(names)} of {len(messages)} ({' '.join(names)})")
else:
    print(json.dumps(messages))
