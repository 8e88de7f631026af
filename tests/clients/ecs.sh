#!/usr/bin/env bash
# Uses the ECS emulator with the AWS CLI, as a person would. The environment has the endpoints and the keys; $PYTHON has
# the package awscli. Containers named `app` listen on 8080.
set -euo pipefail

network='awsvpcConfiguration={subnets=[subnet-1],securityGroups=[sg-1]}'
container='name=app,image=app:1,essential=true,stopTimeout=2,portMappings=[{containerPort=8080}]'

# Not the script `aws` of the venv: it has the path of the Python that it was installed with.
aws() {
    "$PYTHON" -m awscli "$@"
}

# Prints one value of an answer.
query() {
    aws "${@:2}" --output text --query "$1"
}

# Prints the message of a call that must fail.
refusal() {
    ! aws "$@" 2>&1 || { echo "was not refused: $*" >&2 && exit 1; }
}

# Compares what was found with what is expected.
expect() {
    [ "$1" = "$2" ] || { echo "found \`$1\`, expected \`$2\`" >&2 && exit 1; }
}

expect "$(query Account sts get-caller-identity)" 000000000000
query 'taskDefinition.taskDefinitionArn' ecs register-task-definition --family cli --network-mode awsvpc --cpu 256 \
    --memory 512 --requires-compatibilities FARGATE --container-definitions "$container"

task=$(query 'tasks[0].taskArn' ecs run-task --task-definition cli --launch-type FARGATE --network-configuration "$network")
aws ecs wait tasks-running --tasks "$task"
expect "$(query 'tasks[0].lastStatus' ecs describe-tasks --tasks "$task")" RUNNING
expect "$(query 'taskArns[0]' ecs list-tasks --family cli)" "$task"
aws ecs stop-task --task "$task" --reason 'enough' --output json >/dev/null
aws ecs wait tasks-stopped --tasks "$task"
expect "$(query 'tasks[0].[stopCode,stoppedReason]' ecs describe-tasks --tasks "$task")" $'UserInitiated\tenough'

aws ecs create-service --service-name cli --task-definition cli --desired-count 1 --launch-type FARGATE \
    --network-configuration "$network" --output json >/dev/null
aws ecs wait services-stable --services cli
aws ecs update-service --service cli --desired-count 2 --force-new-deployment --output json >/dev/null
aws ecs wait services-stable --services cli
expect "$(query 'services[0].[runningCount,deployments[0].rolloutState]' ecs describe-services --services cli)" $'2\tCOMPLETED'
expect "$(query 'length(serviceDeployments)' ecs list-service-deployments --service cli)" 2
aws ecs delete-service --service cli --force --output json >/dev/null
aws ecs wait services-inactive --services cli

case "$(refusal ecs describe-services --cluster missing --services cli)" in
    *ClusterNotFoundException*) ;;
    *) echo "another error" >&2 && exit 1 ;;
esac
echo "cli: done"
