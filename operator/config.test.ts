import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from './config.ts'
import { parseFlags } from './config.ts'

const configOf = (argv: readonly string[], environment: Record<string, string> = {}): Config => {
  const parsed = parseFlags(argv, environment, '1.2.3')
  assert.ok(parsed.kind === 'config', parsed.kind === 'exit' ? parsed.text : '')
  return parsed.config
}

test('without flags: all namespaces, leader election, the usual ports', () => {
  assert.deepEqual(configOf([]), {
    namespaces: [],
    isLeaderElected: true,
    leaseName: 'raftcluster-operator',
    leaseNamespace: undefined,
    memberImage: 'raftkv:latest',
    metricsAddress: { host: '', port: 8080 },
    healthAddress: { host: '', port: 8081 },
    pageAddress: undefined,
    logLevel: 'info',
    operatorPods: undefined,
    maxConcurrentReconciles: 4,
    resyncPeriodMs: 300_000,
    reconcileTimeoutMs: 120_000,
    shutdownTimeoutMs: 20_000,
  })
})

test('flags in both forms, and variables, of which the flag wins', () => {
  const config = configOf(
    ['--namespaces=a,b,a', '--resync-period', '90s', '--no-leader-elect', '--metrics-address=0'],
    {
      RAFTCLUSTER_OPERATOR_RESYNC_PERIOD: '5m',
      RAFTCLUSTER_OPERATOR_LOG_LEVEL: 'debug',
      RAFTCLUSTER_OPERATOR_HEALTH_ADDRESS: '[::1]:9000',
      RAFTCLUSTER_OPERATOR_LEADER_ELECT: 'true',
    },
  )
  assert.deepEqual(config.namespaces, ['a', 'b'])
  assert.equal(config.resyncPeriodMs, 90_000)
  assert.equal(config.logLevel, 'debug')
  assert.equal(config.isLeaderElected, false)
  assert.equal(config.metricsAddress, undefined)
  assert.deepEqual(config.healthAddress, { host: '::1', port: 9000 })
  assert.equal(configOf([], { RAFTCLUSTER_OPERATOR_LEADER_ELECT: 'false' }).isLeaderElected, false)
})

test('the page is on loopback alone: nobody is asked there who they are', () => {
  for (const host of ['localhost', '127.0.0.1', '127.77.0.3'])
    assert.deepEqual(configOf([`--page-address=${host}:8082`]).pageAddress, { host, port: 8082 })
  assert.deepEqual(configOf(['--page-address=[::1]:8082']).pageAddress, { host: '::1', port: 8082 })
})

const BAD: readonly (readonly [string, readonly string[], Record<string, string>])[] = [
  ['--no-such-flag', ['--no-such-flag'], {}],
  ['--namespaces', ['--namespaces=Upper'], {}],
  ['--log-level', ['--log-level=loud'], {}],
  ['--max-concurrent-reconciles', ['--max-concurrent-reconciles=0'], {}],
  ['--resync-period', ['--resync-period=5'], {}],
  ['--resync-period', ['--resync-period=2s'], {}],
  ['--metrics-address', ['--metrics-address=nowhere'], {}],
  ['--health-address', ['--health-address=:70000'], {}],
  ['--page-address', ['--page-address=:8082'], {}],
  ['--page-address', ['--page-address=10.0.0.7:8082'], {}],
  ['--page-address', ['--page-address=0.0.0.0:8082'], {}],
  ['--page-address', ['--page-address=127.example.com:8082'], {}],
  ['--member-image', ['--member-image'], {}],
  ['--operator-pods', ['--operator-pods=app=operator'], {}],
  ['--operator-pods', ['--operator-pods=ns/'], {}],
  ['--operator-pods', ['--operator-pods=ns/app'], {}],
  ['--member-image', ['--member-image='], {}],
  ['too many arguments', ['stray'], {}],
  ['--resync-period', [], { RAFTCLUSTER_OPERATOR_RESYNC_PERIOD: 'soon' }],
  ['RAFTCLUSTER_OPERATOR_LEADER_ELECT', [], { RAFTCLUSTER_OPERATOR_LEADER_ELECT: 'maybe' }],
]
for (const [named, argv, environment] of BAD) {
  test(`${[...argv, ...Object.values(environment)].join(' ')} is refused by name, with exit code 2`, () => {
    const parsed = parseFlags(argv, environment, '1.2.3')
    assert.ok(parsed.kind === 'exit')
    assert.equal(parsed.exitCode, 2)
    assert.ok(parsed.text.includes(named), parsed.text)
  })
}

test('the operator’s own pods are a namespace and labels', () => {
  const { operatorPods } = configOf(['--operator-pods=ns/app.kubernetes.io/name=operator,app=a'], {})
  assert.deepEqual(operatorPods, { namespace: 'ns', labels: { 'app.kubernetes.io/name': 'operator', app: 'a' } })
})

test('--help names every flag, --version the version; both exit 0', () => {
  const help = parseFlags(['--help'], {}, '1.2.3')
  assert.ok(help.kind === 'exit' && help.exitCode === 0)
  for (const flag of ['namespaces', 'lease-namespace', 'member-image', 'health-address', 'shutdown-timeout']) {
    assert.ok(help.text.includes(`--${flag} `), flag)
  }
  assert.deepEqual(parseFlags(['--version'], {}, '1.2.3'), { kind: 'exit', exitCode: 0, text: '1.2.3\n' })
})
