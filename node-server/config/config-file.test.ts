import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfigFile } from './config-file.ts'

function values(text: string): Record<string, string> {
  const file = readConfigFile(text)
  assert.ok(file.ok, file.ok ? '' : file.error.join('; '))
  assert.deepEqual(file.value.warnings, [])
  return Object.fromEntries(file.value.values)
}

function problems(text: string): string {
  const file = readConfigFile(text)
  assert.ok(!file.ok, text)
  return file.error.join('; ')
}

// The sample that comes with etcd, with what it leaves out filled in here and there.
const SAMPLE = `
# This is the configuration file for the etcd server.
name: 'default'
data-dir:
wal-dir:
snapshot-count: 10000
heartbeat-interval: 100
quota-backend-bytes: 0
listen-peer-urls: http://localhost:2380
listen-client-urls: http://localhost:2379
max-snapshots: 5
cors:
initial-cluster-state: 'new'
strict-reconfig-check: false
enable-pprof: true
client-transport-security:
  # Path to the client server TLS cert file.
  cert-file: /c.pem
  key-file:
  client-cert-auth: false
  trusted-ca-file:
  auto-tls: false
peer-transport-security:
  cert-file: /p.pem
  client-cert-auth: yes
  allowed-cn: [a, b]
  allowed-hostname: []
  skip-client-san-verification: true
self-signed-cert-validity: 1
log-level: debug
logger: zap
log-outputs: [stderr]
force-new-cluster: false
auto-compaction-mode: periodic
auto-compaction-retention: "1"
tls-min-version: 'TLS1.2'
cipher-suites: [
  TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
  TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
]
`

test('etcd’s sample file becomes flags; what is left empty is not given', () => {
  assert.deepEqual(values(SAMPLE), {
    name: 'default',
    'snapshot-count': '10000',
    'heartbeat-interval': '100',
    'quota-backend-bytes': '0',
    'listen-peer-urls': 'http://localhost:2380',
    'listen-client-urls': 'http://localhost:2379',
    'max-snapshots': '5',
    'initial-cluster-state': 'new',
    'strict-reconfig-check': 'false',
    'enable-pprof': 'true',
    'cert-file': '/c.pem',
    'client-cert-auth': 'false',
    'auto-tls': 'false',
    'peer-cert-file': '/p.pem',
    'peer-client-cert-auth': 'true',
    'peer-cert-allowed-cn': 'a,b',
    'peer-skip-client-san-verification': 'true',
    'self-signed-cert-validity': '1',
    'log-level': 'debug',
    logger: 'zap',
    'log-outputs': 'stderr',
    'force-new-cluster': 'false',
    'auto-compaction-mode': 'periodic',
    'auto-compaction-retention': '1',
    'tls-min-version': 'TLS1.2',
    'cipher-suites': 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384',
  })
})

test('durations are whole nanoseconds, numbers may stand for texts, JSON is YAML', () => {
  assert.deepEqual(values('corrupt-check-time: 600000000000'), { 'corrupt-check-time': '600000000000ns' })
  assert.deepEqual(values('auto-compaction-retention: 5\nname: 1'), { 'auto-compaction-retention': '5', name: '1' })
  assert.deepEqual(values('{"name": "a", "max-txn-ops": 9007199254740993}'), {
    name: 'a',
    'max-txn-ops': '9007199254740993',
  })
  assert.deepEqual(values('socket-options:\n  reuse-port: true\n'), { 'socket-reuse-port': 'true' })
  assert.deepEqual(values(''), {})
})

test('a value of another type than etcd takes is refused with its key', () => {
  assert.match(problems('corrupt-check-time: 10m'), /^corrupt-check-time: must be a whole number of nanoseconds/)
  assert.match(problems('heartbeat-interval: "100"'), /^heartbeat-interval: must be a whole number/)
  assert.match(problems('heartbeat-interval: 1.5'), /^heartbeat-interval: must be a whole number/)
  assert.match(problems('enable-pprof: 1'), /^enable-pprof: must be true or false/)
  assert.match(problems('log-outputs: stderr'), /^log-outputs: must be a list/)
  assert.match(problems('log-outputs: [[a]]'), /^log-outputs: must be a list of texts/)
  assert.match(problems('name: [a]'), /^name: must be a text/)
  assert.match(problems('client-transport-security: true'), /^client-transport-security: not a mapping/)
  assert.match(
    problems('peer-transport-security:\n  allowed-cn: a'),
    /^peer-transport-security.allowed-cn: must be a list/,
  )
})

test('what is no YAML, or no mapping, is refused; so is a key that stands twice', () => {
  assert.match(problems('name: [a'), /^not YAML/)
  assert.match(problems('- a'), /not a mapping/)
  assert.match(problems('just a text'), /not a mapping/)
  assert.match(problems('name: a\nname: b'), /^not YAML: Map keys must be unique/)
})

test('a key that is not there is a warning, as is one in the wrong place', () => {
  const file = readConfigFile('nam: x\ncert-file: /c\npeer-transport-security:\n  crl: x\n__proto__: 1\nconstructor: 2')
  assert.ok(file.ok)
  assert.equal(file.value.values.size, 0)
  assert.deepEqual(file.value.warnings, [
    'nam in the config file is ignored: there is no such key',
    'cert-file in the config file is ignored: it belongs into the block client-transport-security, as cert-file',
    'peer-transport-security.crl in the config file is ignored: there is no such key',
    '__proto__ in the config file is ignored: there is no such key',
    'constructor in the config file is ignored: there is no such key',
  ])
})

test('a bomb of aliases does not go off', () => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 12; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    )
  assert.match(problems(lines.join('\n')), /not YAML/)
})
