"""Checks task definitions with cfn-lint, each as an AWS::ECS::TaskDefinition with a Fargate service, so
that the rules about services on Fargate run too.

Prints the findings and exits 1 if there is one.
"""

import json
import sys

from cfnlint.api import ManualArgs, lint

# Names of the API in CloudFormation, if they differ in more than the case of the first letter.
NAMES = {
    "fileSystemId": "FilesystemId",
    "efsVolumeConfiguration": "EFSVolumeConfiguration",
    "fsxWindowsFileServerVolumeConfiguration": "FSxWindowsFileServerVolumeConfiguration",
    "iam": "IAM",
}
# The keys below these are chosen by the user.
USER_KEYS = {"options", "dockerLabels", "driverOpts", "labels"}


def cloudformation(value):
    if isinstance(value, list):
        return [cloudformation(item) for item in value]
    if not isinstance(value, dict):
        return value
    result = {}
    for key, item in value.items():
        name = NAMES.get(key, key[0].upper() + key[1:])
        result[name] = item if key in USER_KEYS else cloudformation(item)
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
