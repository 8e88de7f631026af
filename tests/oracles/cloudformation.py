"""Judges task definitions by cfn-lint, each wrapped as AWS::ECS::TaskDefinition with a Fargate
service beside it, so that the rules about services on Fargate run too.

Prints cfn-lint's own lines and exits 1 when there is one.
"""

import json
import sys

from cfnlint.api import ManualArgs, lint

# The API's names in CloudFormation's spelling, where upper-casing the first letter is not enough.
SPELLED = {
    "fileSystemId": "FilesystemId",
    "efsVolumeConfiguration": "EFSVolumeConfiguration",
    "fsxWindowsFileServerVolumeConfiguration": "FSxWindowsFileServerVolumeConfiguration",
    "iam": "IAM",
}
# Below these the keys are the user's own.
USERS_OWN = {"options", "dockerLabels", "driverOpts", "labels"}


def cloudformation(value):
    if isinstance(value, list):
        return [cloudformation(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        name = SPELLED.get(key, key[0].upper() + key[1:])
        result[name] = item if key in USERS_OWN else cloudformation(item)
    return result


def template(definition):
    network = {"AwsvpcConfiguration": {"Subnets": ["subnet-0123456789abcdef0"]}}
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Resources": {
            "Task": {"Type": "AWS::ECS::TaskDefinition", "Properties": cloudformation(definition)},
            "Service": {
                "Type": "AWS::ECS::Service",
                "Properties": {
                    "LaunchType": "FARGATE",
                    "TaskDefinition": {"Ref": "Task"},
                    "NetworkConfiguration": network,
                },
            },
        },
    }


def main(paths):
    found = 0
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = json.dumps(template(json.load(file)), indent=1)
        for match in lint(text, config=ManualArgs(regions=["eu-central-1"])):
            found += 1
            print(f"{path}: {match.rule.id} {match.message} ({'/'.join(map(str, match.path or []))})")
    print(f"{len(paths)} definitions, {found} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
