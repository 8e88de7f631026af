// Uses the ECS emulator with the AWS SDK for JavaScript, as a program of a user would. The environment has the
// endpoints and the keys. Containers named `app` listen on 8080.

import assert from 'node:assert/strict';
import {
  CreateServiceCommand, DeleteServiceCommand, DescribeServiceDeploymentsCommand, DescribeServicesCommand,
  DescribeTasksCommand, ECSClient, ListServiceDeploymentsCommand, RegisterTaskDefinitionCommand, RunTaskCommand,
  StopTaskCommand, UpdateServiceCommand, paginateListTasks, waitUntilServicesInactive, waitUntilServicesStable,
  waitUntilTasksRunning, waitUntilTasksStopped,
} from '@aws-sdk/client-ecs';

// One attempt each, so that no error is hidden by the next one.
const client = new ECSClient({ maxAttempts: 1 });
const call = (command) => client.send(command);
const wait = { client, maxWaitTime: 180, minDelay: 1, maxDelay: 1 };
const placement = {
  launchType: 'FARGATE',
  networkConfiguration: { awsvpcConfiguration: { subnets: ['subnet-1'], securityGroups: ['sg-1'] } },
};

async function register() {
  const container = { name: 'app', image: 'app:1', essential: true, stopTimeout: 2, portMappings: [{ containerPort: 8080 }] };
  const { taskDefinition } = await call(new RegisterTaskDefinitionCommand({
    family: 'js', networkMode: 'awsvpc', cpu: '256', memory: '512', requiresCompatibilities: ['FARGATE'],
    containerDefinitions: [container],
  }));
  assert.ok(taskDefinition.registeredAt instanceof Date);
  return taskDefinition.taskDefinitionArn;
}

async function tasks(taskDefinition) {
  const started = await call(new RunTaskCommand({ taskDefinition, count: 2, ...placement }));
  const arns = started.tasks.map((task) => task.taskArn);
  assert.equal((await waitUntilTasksRunning(wait, { tasks: arns })).state, 'SUCCESS');

  const listed = [];
  for await (const page of paginateListTasks({ client, pageSize: 1 }, { family: 'js' })) listed.push(...page.taskArns);
  assert.deepEqual(listed.toSorted(), arns.toSorted());

  for (const task of arns) await call(new StopTaskCommand({ task, reason: 'enough' }));
  assert.equal((await waitUntilTasksStopped(wait, { tasks: arns })).state, 'SUCCESS');
  const described = await call(new DescribeTasksCommand({ tasks: [...arns, '0'.repeat(32)] }));
  assert.equal(described.failures[0].reason, 'MISSING');
  for (const task of described.tasks) {
    assert.equal(task.stopCode, 'UserInitiated');
    assert.equal(task.stoppedReason, 'enough');
    assert.ok(task.stoppedAt >= task.startedAt && task.stoppedAt instanceof Date);
  }
}

/** Waits for the end of the deployment: the waiter only looks at the number of tasks, and an update before the end stops
 * the deployment. */
async function completed(named) {
  for (let turn = 0; turn < 600; turn += 1) {
    const { services: [service] } = await call(new DescribeServicesCommand(named));
    if (service.deployments.length === 1 && service.deployments[0].rolloutState === 'COMPLETED') return;
    await new Promise((resolve) => { setTimeout(resolve, 100); });
  }
  assert.fail('the deployment does not end');
}

async function services(taskDefinition) {
  const named = { services: ['js'] };
  await call(new CreateServiceCommand({ serviceName: 'js', taskDefinition, desiredCount: 1, ...placement }));
  assert.equal((await waitUntilServicesStable(wait, named)).state, 'SUCCESS');
  await completed(named);
  await call(new UpdateServiceCommand({ service: 'js', taskDefinition: await register() }));
  assert.equal((await waitUntilServicesStable(wait, named)).state, 'SUCCESS');
  await completed(named);

  const { services: [service] } = await call(new DescribeServicesCommand(named));
  assert.equal(service.runningCount, 1);
  assert.equal(service.deployments[0].rolloutState, 'COMPLETED');
  const { serviceDeployments } = await call(new ListServiceDeploymentsCommand({ service: 'js' }));
  const serviceDeploymentArns = serviceDeployments.map((deployment) => deployment.serviceDeploymentArn);
  const deployments = await call(new DescribeServiceDeploymentsCommand({ serviceDeploymentArns }));
  assert.deepEqual(deployments.serviceDeployments.map((deployment) => deployment.status), ['SUCCESSFUL', 'SUCCESSFUL']);

  await call(new DeleteServiceCommand({ service: 'js', force: true }));
  assert.equal((await waitUntilServicesInactive(wait, named)).state, 'SUCCESS');
}

async function refusals() {
  await assert.rejects(call(new RunTaskCommand({ taskDefinition: 'nothing-like-it', ...placement })), { name: 'ClientException' });
  const missing = new DescribeTasksCommand({ cluster: 'missing', tasks: ['0'.repeat(32)] });
  await assert.rejects(call(missing), { name: 'ClusterNotFoundException' });
}

const taskDefinition = await register();
await tasks(taskDefinition);
await services(taskDefinition);
await refusals();
console.log('js: done');
