"""What botocore and cfn-lint say about task definitions.

Reads {"name": definition, ...} as JSON from stdin and prints {"name": {"botocore": [...], "cfn-lint": [...]}, ...}.
With --count it prints how many each of them finds something in.
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
        return [properties(one, parent) for one in value]
    if isinstance(value, dict):
        return {key if parent in MAPS else name(key, parent): properties(one, key) for key, one in value.items()}
    return value


def by_botocore(definition):
    ecs = botocore.session.Session().get_service_model("ecs")
    report = ParamValidator().validate(definition, ecs.operation_model("RegisterTaskDefinition").input_shape)
    return report.generate_report().splitlines()


def by_cfn_lint(definitions):
    resources = {
        name: {"Type": "AWS::ECS::TaskDefinition", "Properties": properties(one)}
        for name, one in definitions.items()
    }
    template = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": resources}
    found = {name: [] for name in definitions}
    for one in lint(json.dumps(template), config=ManualArgs(regions=["us-east-1"])):
        if one.rule.id.startswith("E"):
            found[one.path[1]].append(f"{one.rule.id} {one.message}")
    return found


definitions = json.load(sys.stdin)
lint_found = by_cfn_lint(definitions)
said = {name: {"botocore": by_botocore(one), "cfn-lint": lint_found[name]} for name, one in definitions.items()}
if "--count" in sys.argv:
    for tool in ("botocore", "cfn-lint"):
        names = [name for name, one in said.items() if one[tool]]
        print(f"{tool}: {len(names)} of {len(said)} ({' '.join(names)})")
else:
    print(json.dumps(said))
