"""Judges stacks: cfn-lint with no rule switched off; botocore's models of what CloudFormation will call; and whether
a stack says what the files beside it say.

Reads {name: {"template": text, "documents": {path: text}}} and prints {name: [what is wrong, …]}. References are
followed with the parameters' defaults, so that the task definition and the roles can be compared as they stand.
"""

import json
import sys

import botocore.session
import cfnlint.decode.cfn_yaml
from botocore.validate import ParamValidator
from cfnlint.api import ManualArgs, lint

SPELLED = {
    "FilesystemId": "fileSystemId",
    "EFSVolumeConfiguration": "efsVolumeConfiguration",
    "FSxWindowsFileServerVolumeConfiguration": "fsxWindowsFileServerVolumeConfiguration",
    "IAM": "iam",
}
USERS_OWN = {"Options", "DockerLabels", "DriverOpts", "Labels"}
ACCOUNT, CLUSTER = "111122223333", "default"


def api(value):
    """CloudFormation's names as the API spells them."""
    if isinstance(value, list):
        return [api(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        SPELLED.get(key, key[0].lower() + key[1:]): item if key in USERS_OWN else api(item)
        for key, item in value.items()
    }


class Stack:
    def __init__(self, text):
        self.template = json.loads(json.dumps(cfnlint.decode.cfn_yaml.loads(text)))

    def followed(self, value):
        if isinstance(value, list):
            return [self.followed(item) for item in value]
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
        return {key: self.followed(item) for key, item in value.items()}

    def reference(self, name):
        parameter = self.template["Parameters"].get(name)
        if parameter:
            return parameter["Default"]
        return self.template["Resources"][name]["Properties"]["LogGroupName"]

    def properties(self, kind):
        for name, resource in self.template["Resources"].items():
            if resource["Type"] == kind:
                yield name, self.followed(resource["Properties"])


def differences(stack, documents):
    read = {path: json.loads(text) for path, text in documents.items() if path.endswith(".json")}
    ((_, task),) = stack.properties("AWS::ECS::TaskDefinition")
    if api(task) != read["task-definition.json"]:
        yield f"the task definition differs: {json.dumps(api(task))}"
    files = {path: document for path, document in read.items() if path.startswith("iam/")}
    for name, role in stack.properties("AWS::IAM::Role"):
        word = name.removesuffix("Role").lower()
        if role["Policies"][0]["PolicyDocument"] != files.pop(f"iam/{word}-role.json"):
            yield f"the policy of {name} differs"
        trust = "iam/trust.json" if word in ("execution", "task") else f"iam/{word}-trust.json"
        if role["AssumeRolePolicyDocument"] != files[trust]:
            yield f"the trust of {name} differs"


def example(value):
    """The value with something plausible for every reference."""
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
    """The same with these names beginning with a small letter, as some APIs spell them."""
    if isinstance(value, list):
        return [lower(item, names) for item in value]
    if not isinstance(value, dict):
        return value
    return {names.get(key, key): lower(item, names) for key, item in value.items()}


def words(value, shape, path=""):
    """Every string that is none of those its shape allows."""
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            if name in value:
                yield from words(value[name], member, f"{path}/{name}")
    elif shape.type_name == "list":
        for index, item in enumerate(value):
            yield from words(item, shape.member, f"{path}/{index}")
    elif shape.type_name == "string" and shape.enum and value not in [*shape.enum, "example"]:
        yield f"{path}: {value} is not one of {', '.join(shape.enum)}"


def calls(stack):
    """What CloudFormation will ask of the services whose APIs have the same words."""
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
                container["Environment"] = api(container["Environment"])
            yield "pipes", "CreatePipe", call
        if kind == "AWS::ECS::Service":
            properties["EnableEcsManagedTags"] = properties.pop("EnableECSManagedTags")
            call = api(properties)
            call["enableECSManagedTags"] = call.pop("enableEcsManagedTags")
            yield "ecs", "CreateService", call
        if kind == "AWS::ApplicationAutoScaling::ScalingPolicy":
            properties.pop("ScalingTargetId")
            dimension = "ecs:service:DesiredCount"
            place = {"ServiceNamespace": "ecs", "ResourceId": "service/a/b", "ScalableDimension": dimension}
            yield "application-autoscaling", "PutScalingPolicy", properties | place


SESSION = botocore.session.Session()


def refused(stack):
    for service, operation, call in calls(stack):
        shape = SESSION.get_service_model(service).operation_model(operation).input_shape
        report = ParamValidator().validate(call, shape)
        faults = report.generate_report().splitlines() if report.has_errors() else list(words(call, shape))
        yield from (f"{service} {operation}: {fault}" for fault in faults)


def main():
    said = {}
    for name, one in json.load(sys.stdin).items():
        config = ManualArgs(regions=["eu-central-1"])
        found = [
            f"{match.rule.id} {match.message} ({'/'.join(map(str, match.path or []))})"
            for match in lint(one["template"], config=config)
        ]
        stack = Stack(one["template"])
        said[name] = found + list(refused(stack)) + list(differences(stack, one["documents"]))
    print(json.dumps(said))


main()
