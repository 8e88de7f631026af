"""Checks stacks with cfn-lint (all rules enabled) and with botocore's models of the APIs that CloudFormation calls, and
compares them with the other documents.

Reads {name: {"template": text, "documents": {path: text}}} and prints {name: [problem, …]}. References are resolved
with the defaults of the parameters, so that the task definition and the roles can be compared.
"""

import json
import sys

import botocore.session
import cfnlint.decode.cfn_yaml
from botocore.validate import ParamValidator
from cfnlint.api import ManualArgs, lint

# Names that the ECS API does not spell with a lower-case first letter only.
API_NAMES = {
    "FilesystemId": "fileSystemId",
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FSxWindowsFileServerVolumeConfiguration": "fsxWindowsFileServerVolumeConfiguration",
    "IAM": "iam",
}
# Maps with keys of the user, which are not converted.
USER_MAPS = {"Options", "DockerLabels", "DriverOpts", "Labels"}
ACCOUNT, CLUSTER = "111122223333", "default"


def to_api_names(value):
    """Converts CloudFormation's field names to those of the API."""
    if isinstance(value, list):
        return [to_api_names(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        API_NAMES.get(key, key[0].lower() + key[1:]): item if key in USER_MAPS else to_api_names(item)
        for key, item in value.items()
    }


class Stack:
    def __init__(self, text):
        self.template = json.loads(json.dumps(cfnlint.decode.cfn_yaml.loads(text)))

    def resolve(self, value):
        if isinstance(value, list):
            return [self.resolve(item) for item in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["Ref"]:
            return self.reference(value["Ref"])
        if list(value) == ["Fn::GetAtt"]:
            role, attribute = value["Fn::GetAtt"]
            name = self.template["Resources"][role]["Properties"]["RoleName"]
            assert attribute == "Arn", value
            return f"arn:aws:iam::{ACCOUNT}:role/{name}"
        if list(value) == ["Fn::Sub"]:
            return value["Fn::Sub"].replace("${Cluster}", CLUSTER)
        return {key: self.resolve(item) for key, item in value.items()}

    def reference(self, name):
        parameter = self.template["Parameters"].get(name)
        if parameter:
            return parameter["Default"]
        return self.template["Resources"][name]["Properties"]["LogGroupName"]

    def properties(self, kind):
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind:
                yield name, self.resolve(resource["Properties"])


def differences(stack, documents):
    read = {path: json.loads(text) for path, text in documents.items() if path.endswith(".json")}
    ((_, task),) = stack.properties("AWS::ECS::TaskDefinition")
    if to_api_names(task) != read["task-definition.json"]:
        yield f"the task definition differs: {json.dumps(to_api_names(task))}"
    files = {path: document for path, document in read.items() if path.startswith("iam/")}
    for name, role in stack.properties("AWS::IAM::Role"):
        role_name = name.removesuffix("Role").lower()
        if role["Policies"][0]["PolicyDocument"] != files.pop(f"iam/{role_name}-role.json"):
            yield f"the policy of {name} differs"
        trust = "iam/trust.json" if role_name in ("execution", "task") else f"iam/{role_name}-trust.json"
        if role["AssumeRolePolicyDocument"] != files[trust]:
            yield f"the trust of {name} differs"


def example(value):
    """Replaces every reference by an example value."""
    if isinstance(value, list):
        return [example(item) for item in value]
    if not isinstance(value, dict):
        return value
    if list(value) == ["Fn::If"]:
        return example(value["Fn::If"][1])
    if len(value) == 1 and list(value)[0] in ("Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Select"):
        return ["subnet-1"] if value == {"Ref": "Subnets"} else "example"
    return {key: example(item) for key, item in value.items()}


def lower(value, names):
    """Renames these fields, which some APIs spell with a lower-case first letter."""
    if isinstance(value, list):
        return [lower(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): lower(item, names) for key, item in value.items()}


def enum_problems(value, shape, path=""):
    """Returns every string that is not a value of its enum; botocore does not check enums."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from enum_problems(value[name], member, f"{path}/{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from enum_problems(item, shape.member, f"{path}/{index}")
    elif shape.type_name == "string" and shape.enum and value not in [*shape.enum, "example"]:
        yield f"{path}: {value} is not one of {', '.join(shape.enum)}"


def calls(stack):
    """Returns the calls that CloudFormation will make to services with the same field names in their API."""
    network = {"AwsVpcConfiguration": "awsvpcConfiguration", "AwsvpcConfiguration": "awsvpcConfiguration"}
    for resource in stack.template["Resources"].values():
        properties = example(resource["Properties"])
        kind = resource["Type"]
        if kind == "AWS::Events::Rule":
            properties["EventPattern"] = json.dumps(properties["EventPattern"])
            targets = {"Rule": properties["Name"], "Targets": properties.pop("Targets")}
            yield "events", "PutTargets", lower(targets, network)
            yield "events", "PutRule", properties
        if kind == "AWS::Pipes::Pipe":
            call = lower(properties, network)
            overrides = call["TargetParameters"]["EcsTaskParameters"]["Overrides"]["ContainerOverrides"]
            for container in overrides:
                container["Environment"] = to_api_names(container["Environment"])
            yield "pipes", "CreatePipe", call
        if kind == "AWS::ECS::Service":
            properties["EnableEcsManagedTags"] = properties.pop("EnableECSManagedTags")
            call = to_api_names(properties)
            call["enableECSManagedTags"] = call.pop("enableEcsManagedTags")
            yield "ecs", "CreateService", call
        if kind == "AWS::ApplicationAutoScaling::ScalingPolicy":
            properties.pop("ScalingTargetId")
            dimension = "ecs:service:DesiredCount"
            place = {"ServiceNamespace": "ecs", "ResourceId": "service/a/b", "ScalableDimension": dimension}
            yield "application-autoscaling", "PutScalingPolicy", properties | place


SESSION = botocore.session.Session()


def invalid_calls(stack):
    for service, operation, call in calls(stack):
        shape = SESSION.get_service_model(service).operation_model(operation).input_shape
        report = ParamValidator().validate(call, shape)
        problems = report.generate_report().splitlines() if report.has_errors() else list(enum_problems(call, shape))
        yield from (f"{service} {operation}: {problem}" for problem in problems)


def main():
    problems = {}
    for name, entry in json.load(sys.stdin).items():
        config = ManualArgs(regions=["eu-central-1"])
        found = [
            f"{match.rule.id} {match.message} ({'/'.join(map(str, match.path or []))})"
            for match in lint(entry["template"], config=config)
        ]
        stack = Stack(entry["template"])
        problems[name] = found + list(invalid_calls(stack)) + list(differences(stack, entry["documents"]))
    print(json.dumps(problems))


main()
