import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_LIMITS } from '../listen/limits.ts'
import { err } from '../../lib/result.ts'
import type { Config } from './config.ts'
import { parseConfig as parse, type Parsed } from './parse.ts'
import type { Environment } from './command-line.ts'
import { helpText } from './help.ts'
import { FLAGS } from './table.ts'
import { DEFAULT_MAINTENANCE, type MaintenanceOptions } from '../node/options.ts'

const parseConfig = (args: readonly string[], environment: Environment): Parsed =>
  parse(args, environment, () => err('there are no files in this test'))

function config(args: readonly string[], environment: Record<string, string> = {}): Config {
  const parsed = parseConfig(args, environment)
  assert.equal(parsed.kind, 'run', JSON.stringify(parsed))
  assert.ok(parsed.kind === 'run')
  return parsed.config
}

function problems(args: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const parsed = parseConfig(args, environment)
  assert.ok(parsed.kind === 'refused', JSON.stringify(parsed))
  return parsed.problems
}

function warnings(args: readonly string[], environment: Record<string, string> = {}): readonly string[] {
  const parsed = parseConfig(args, environment)
  assert.ok(parsed.kind === 'run', JSON.stringify(parsed))
  return parsed.warnings
}

test('without any flag everything is as in etcd', () => {
  assert.deepEqual(config([]), {
    name: 'default',
    dataDir: 'default.etcd',
    walDir: undefined,
    listenClientURLs: ['http://localhost:2379'],
    listenClientHTTPURLs: [],
    advertiseClientURLs: ['http://localhost:2379'],
    listenPeerURLs: ['http://localhost:2380'],
    initialAdvertisePeerURLs: ['http://localhost:2380'],
    listenMetricsURLs: [],
    listenAdminURLs: [],
    adminTokenFile: undefined,
    peerSecret: undefined,
    start: {
      kind: 'new',
      members: [{ name: 'default', peerURLs: ['http://localhost:2380'] }],
      token: 'etcd-cluster',
    },
    isNewClusterForced: false,
    isFsyncSkipped: false,
    heartbeatIntervalMs: 100,
    electionTimeoutMs: 1000,
    snapshotCount: 10_000,
    snapshotCatchUpEntries: 5000,
    quotaBackendBytes: 2 * 1024 ** 3,
    maxRequestBytes: 1.5 * 1024 ** 2,
    maxTxnOps: 128,
    maxLearners: 1,
    isReconfigStrict: true,
    clientLimits: DEFAULT_LIMITS,
    grpcEngine: 'built-in',
    isWarmedUp: true,
    shutdownDelayMs: 0,
    http: { isGatewayEnabled: true, corsOrigins: ['*'], hostWhitelist: ['*'] },
    maintenance: DEFAULT_MAINTENANCE,
    watchProgressNotifyIntervalMs: 600_000,
    warningApplyMs: 100,
    warningUnaryRequestMs: 300,
    log: { level: 'info', format: 'json', outputs: ['stderr'] },
    clientTls: undefined,
    peerTls: undefined,
    authToken: { kind: 'simple', ttlMs: 300_000 },
    bcryptCost: 10,
  })
})

// The command line of etcd's tutorial on local clusters, in the form in which it is printed there.
const TUTORIAL = [
  ['--name', 'infra1', '--listen-client-urls', 'http://127.0.0.1:2379'],
  ['--advertise-client-urls', 'http://127.0.0.1:2379', '--listen-peer-urls', 'http://127.0.0.1:12380'],
  ['--initial-advertise-peer-urls', 'http://127.0.0.1:12380', '--initial-cluster-token', 'etcd-cluster-1'],
  ['--initial-cluster', 'infra1=http://127.0.0.1:12380,infra2=http://127.0.0.1:22380,infra3=http://127.0.0.1:32380'],
  ['--initial-cluster-state', 'new', '--enable-pprof', '--logger=zap', '--log-outputs=stderr'],
].flat()

test('a member of the tutorial starts', () => {
  const { name, dataDir, start } = config(TUTORIAL)
  assert.deepEqual([name, dataDir], ['infra1', 'infra1.etcd'])
  assert.ok(start.kind === 'new')
  assert.equal(start.token, 'etcd-cluster-1')
  assert.deepEqual(
    start.members.map((member) => `${member.name} ${member.peerURLs.join()}`),
    ['infra1 http://127.0.0.1:12380', 'infra2 http://127.0.0.1:22380', 'infra3 http://127.0.0.1:32380'],
  )
  assert.match(warnings(TUTORIAL).join(), /^--enable-pprof has no effect: [^,]*$/)
})

test('a flag may have one dash or two, a value after = or a blank; the last one counts', () => {
  for (const args of [['--name', 'a'], ['--name=a'], ['-name', 'a'], ['-name=a'], ['--name=b', '--name=a']]) {
    assert.equal(config(args).name, 'a')
  }
  assert.deepEqual(config(['--initial-cluster=default=http://localhost:2380']).start, config([]).start)
})

test('every flag has its variable; the command line wins and says so', () => {
  assert.equal(config([], { ETCD_NAME: 'env', ETCD_DATA_DIR: '/d' }).dataDir, '/d')
  assert.equal(config(['--name=cli'], { ETCD_NAME: 'env' }).name, 'cli')
  assert.match(warnings(['--name=cli'], { ETCD_NAME: 'env' }).join(), /ETCD_NAME is ignored: --name is given/)
  assert.equal(config([], { ETCD_NAME: '' }).name, 'default')
  assert.deepEqual(warnings([], { ETCD_SERVICE_HOST: '10.0.0.1', PATH: '/bin', ETCDCTL_API: '3' }), [
    'ETCD_SERVICE_HOST is ignored: there is no flag --service-host',
  ])
})

test('who waits is told nothing about its cluster, but has an admin API', () => {
  const wait = '--initial-cluster-state=wait'
  assert.deepEqual(config([wait, '--listen-admin-urls=http://0.0.0.0:8080']).start, { kind: 'wait' })
  assert.match(problems([wait]).join(), /^--listen-admin-urls: required with --initial-cluster-state=wait/)
  assert.match(
    problems([wait, '--listen-admin-urls=http://0.0.0.0:8080', '--initial-cluster=a=http://a:1']).join(),
    /^--initial-cluster: not together with/,
  )
})

test('what is wrong is named with its flag, its value and what to do', () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--nam=x'], /^--nam: there is no such flag; --help/],
    [['serve'], /^'serve' is not a flag/],
    [['--name'], /^--name: the value is missing/],
    [['--name='], /^--name: '' is empty/],
    [['--name=a b'], /^--name: 'a b'/],
    [
      ['--listen-peer-urls=localhost:2380'],
      /^--listen-peer-urls: 'localhost:2380' is not of the form http:\/\/host:port/,
    ],
    [['--listen-peer-urls=http://localhost'], /^--listen-peer-urls: 'http:\/\/localhost' is not of the form/],
    [['--listen-peer-urls=http://localhost:2380/x'], /is not of the form/],
    [['--listen-peer-urls=http://localhost:70000'], /port beyond 65535/],
    [['--listen-peer-urls=http://:2380'], /has no host/],
    [['--listen-peer-urls=https://localhost:2380'], /needs a certificate and its key: give --peer-cert-file and/],
    [['--listen-peer-urls=ftp://localhost:2380'], /has the scheme ftp: it must be http, https, unix or unixs/],
    [['--listen-peer-urls=unix://'], /is not of the form unix:\/\/\/path\/of\/socket/],
    [['--listen-peer-urls=unixs:///tmp/peer'], /needs a certificate and its key: give --peer-cert-file and/],
    [['--peer-secret-mode=offer'], /^--peer-secret-mode: needs --peer-secret-file/],
    [['--peer-secret-file=s', '--peer-secret-mode=maybe'], /^--peer-secret-mode: 'maybe' is none of offer, require/],
    [['--listen-admin-urls=unix:///tmp/admin'], /the admin API is served over http and https only/],
    [['--listen-peer-urls=http://example.com:2380'], /names a host: to listen, give an IP address/],
    [['--listen-peer-urls='], /^--listen-peer-urls: '' is not of the form/],
    [
      ['--listen-client-urls=http://127.0.0.1:1'],
      /^--advertise-client-urls: required when --listen-client-urls is set/,
    ],
    [['--initial-cluster=a=http://a:1'], /^--initial-cluster: 'a=http:\/\/a:1' has no member named default/],
    [
      ['--initial-cluster=default=http://a:1'],
      /--initial-advertise-peer-urls is http:\/\/localhost:2380: both must be/,
    ],
    [['--initial-cluster=default'], /'default' is not of the form name=/],
    [['--initial-cluster=default=http://localhost:2380,b=http://localhost:2380'], /given twice, for default and for b/],
    [['--initial-cluster-state=old'], /^--initial-cluster-state: 'old' is none of/],
    [['--heartbeat-interval=0'], /^--heartbeat-interval: '0' is not a whole number of at least 1/],
    [['--heartbeat-interval=1.5'], /^--heartbeat-interval: '1.5' is not/],
    [['--heartbeat-interval=300'], /^--election-timeout: 1000 ms is less than 5 times --heartbeat-interval \(300 ms\)/],
    [['--election-timeout=60000'], /^--election-timeout: '60000' is not a whole number from 1 to 50000/],
    [['--snapshot-count=-1'], /^--snapshot-count: '-1'/],
    [['--max-request-bytes=99999999'], /^--max-request-bytes: '99999999'/],
    [['--max-txn-ops=many'], /^--max-txn-ops: 'many'/],
    [['--log-level=loud'], /^--log-level: 'loud' is none of debug, info/],
    [['--log-level=constructor'], /^--log-level/],
    [['--listen-admin-urls=http://localhost:2380'], /is in --listen-peer-urls as well/],
  ]
  for (const [args, expected] of cases) {
    const found = problems(args)
    assert.equal(found.length, 1, `${args.join(' ')}: ${found.join('; ')}`)
    assert.match(found[0] ?? '', expected)
  }
})

test('all problems are reported at once', () => {
  assert.equal(problems(['--nam=x', '--log-level=loud', '--max-txn-ops=0']).length, 3)
})

test('a quota of 0 is the default, a negative one no limit, a level of etcd that is not ours the next one', () => {
  assert.equal(config(['--quota-backend-bytes=0']).quotaBackendBytes, 2 * 1024 ** 3)
  assert.equal(config(['--quota-backend-bytes=-1']).quotaBackendBytes, -1)
  assert.equal(config(['--snapshot-count=0']).snapshotCount, 10_000)
  assert.equal(config(['--log-level=panic']).log.level, 'fatal')
})

test('a member may have several peer URLs, in any order', () => {
  const { start } = config([
    '--initial-advertise-peer-urls=http://10.0.0.1:1,http://10.0.0.2:1',
    '--initial-cluster=default=http://10.0.0.2:1,other=http://10.0.0.3:1,default=http://10.0.0.1:1',
  ])
  assert.ok(start.kind === 'new')
  assert.deepEqual(start.members[0]?.peerURLs, ['http://10.0.0.2:1', 'http://10.0.0.1:1'])
})

test('--help names every flag with its default; --version wins over nonsense', () => {
  for (const flag of ['--help', '-help', '-h']) assert.equal(parseConfig([flag], {}).kind, 'help')
  for (const [name, { fallback }] of Object.entries(FLAGS)) {
    assert.ok(helpText().includes(`--${name} `), name)
    assert.ok(fallback === '' || helpText().includes(`(default: ${fallback})`), name)
  }
  assert.equal(parseConfig(['--version'], {}).kind, 'version')
})

test('a switch stands alone or has its value after =, never behind a blank (as in Go)', () => {
  for (const flag of ['--force-new-cluster', '-force-new-cluster', '--force-new-cluster=T', '--force-new-cluster=1'])
    assert.equal(config([flag]).isNewClusterForced, true, flag)
  assert.equal(config(['--force-new-cluster=false']).isNewClusterForced, false)
  assert.match(problems(['--force-new-cluster', 'true']).join(), /^'true' is not a flag/)
  assert.match(problems(['--force-new-cluster=perhaps']).join(), /'perhaps' is neither true nor false/)
})

test('auto-compaction: a number alone is hours or revisions, 0 is none', () => {
  const of = (retention: string, mode = 'periodic'): MaintenanceOptions['autoCompaction'] =>
    config([`--auto-compaction-mode=${mode}`, `--auto-compaction-retention=${retention}`]).maintenance.autoCompaction
  assert.deepEqual(of('5'), { mode: 'periodic', retentionMs: 18_000_000 })
  assert.deepEqual(of('1h30m'), { mode: 'periodic', retentionMs: 5_400_000 })
  assert.deepEqual(of('1000', 'revision'), { mode: 'revision', retentionRevisions: 1000 })
  for (const none of ['0', '0s']) assert.equal(of(none), undefined)
  assert.equal(of('0', 'revision'), undefined)
  for (const [retention, mode] of [
    ['-1', 'periodic'],
    ['-1h', 'periodic'],
    ['soon', 'periodic'],
    ['1h', 'revision'],
    ['-1', 'revision'],
  ]) {
    const [problem] = problems([`--auto-compaction-mode=${mode}`, `--auto-compaction-retention=${retention}`])
    assert.match(problem ?? '', /^--auto-compaction-retention: /)
  }
  assert.match(
    problems(['--auto-compaction-mode=daily']).join(),
    /^--auto-compaction-mode: 'daily' is none of periodic/,
  )
})

test('checks of the data: their times by flags, whether they run by gates', () => {
  const { maintenance } = config([
    '--corrupt-check-time=4h',
    '--compact-hash-check-time=30s',
    '--feature-gates=CompactHashCheck=true,InitialCorruptCheck=true',
  ])
  assert.deepEqual(maintenance, {
    ...DEFAULT_MAINTENANCE,
    checksAtStart: true,
    corruptCheckMs: 14_400_000,
    compactHashCheckMs: 30_000,
  })
  assert.match(problems(['--compact-hash-check-time=0s']).join(), /^--compact-hash-check-time: must be more than 0/)
  assert.match(problems(['--feature-gates=Nope=true']).join(), /^--feature-gates: 'Nope' is no feature/)
})

test('logs go to stderr, stdout or files; the journal is reached by stderr', () => {
  const outputs = (text: string): readonly string[] => config([`--log-outputs=${text}`]).log.outputs
  assert.deepEqual(outputs('default'), ['stderr'])
  assert.deepEqual(outputs('systemd/journal,stderr'), ['stderr'])
  assert.deepEqual(outputs('stdout,/var/log/a.log,stdout'), ['stdout', '/var/log/a.log'])
  assert.match(problems(['--log-outputs=default,stdout']).join(), /^--log-outputs: 'default' only stands alone/)
  assert.match(problems(['--log-format=xml']).join(), /^--log-format: 'xml' is none of json, console/)
})

test('a flag of older versions names what took its place; etcd’s proxies are not here', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['--experimental-initial-corrupt-check=true', /it is --feature-gates=InitialCorruptCheck=true now/],
    ['--experimental-watch-progress-notify-interval=5s', /it is --watch-progress-notify-interval now/],
    ['--experimental-nonsense', /no such flag any more; --help/],
    ['gateway', /this program is no proxy/],
  ]
  for (const [argument, expected] of cases) assert.match(problems([argument]).join(), expected)
  assert.match(warnings(['--force', '--vv']).join(), /--force has no effect: .*--vv has no effect/)
})

test('a configuration file that cannot be read is refused; one in the environment counts', () => {
  assert.match(problems(['--config-file=/none']).join(), /^--config-file: there are no files/)
  assert.match(problems([], { ETCD_CONFIG_FILE: '/none' }).join(), /^--config-file: there are no files/)
  assert.equal(config([], { ETCD_CONFIG_FILE: '', ETCD_UNSUPPORTED_ARCH: 'arm64' }).name, 'default')
})
