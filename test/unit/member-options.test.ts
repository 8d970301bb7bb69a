/** spec.options and the flags of a member: all that is safe to set can be set, and is understood as it is written. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { getCiphers } from 'node:tls'
import { parse } from 'yaml'
import { EVERY_OPTION } from '../../operator/api/testing/options.ts'
import {
  FLAGS as OPTION_FLAGS,
  memberFlags,
  TLS_FLAGS,
  tlsFlags,
} from '../../operator/cluster/resources/member-flags.ts'
import { classOf } from '../../node-server/config/flag.ts'
import { parseConfig } from '../../node-server/config/parse.ts'
import { FLAGS, flagOf, isFlag } from '../../node-server/config/table.ts'
import { cipherList } from '../../node-server/tls/cipher-suites.ts'

interface Option {
  readonly minimum?: number
  readonly maximum?: number
  readonly enum?: readonly string[]
  readonly items?: Option
}

const CRD_FILE = join(import.meta.dirname, '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')
const OPTIONS_SCHEMA = parse(readFileSync(CRD_FILE, 'utf8')).spec.versions[0].schema.openAPIV3Schema.properties.spec
  .properties.options.properties as Readonly<Record<string, Option>>

/** Both sides have TLS. */
const TLS = ['--cert-file=c', '--key-file=k', '--peer-cert-file=c', '--peer-key-file=k']

/** Flags that work and are no options, by why. */
const NOT_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  'the operator sets them': [
    'name',
    'data-dir',
    'initial-cluster-state',
    'admin-token-file',
    'feature-gates',
    'shutdown-delay-duration',
  ],
  'where a member listens and is found is the operator’s': Object.keys(FLAGS).filter((name) =>
    /listen|advertise/.test(name),
  ),
  'the operator forms clusters and changes their members': ['initial-cluster', 'initial-cluster-token', 'max-learners'],
  'members would be lost': ['strict-reconfig-check', 'force-new-cluster'],
  'there is one volume': ['wal-dir'],
  'the operator sets them as spec.tls says': Object.keys(FLAGS).filter((name) =>
    /auto-tls|cert|key-file|-ca-file|crl|peer-skip|peer-secret/.test(name),
  ),
  'JSON Web Tokens need files of keys, which the operator has no field for': ['auth-token'],
  'Kubernetes takes what goes to stderr': ['log-outputs'],
  'a member that serves a moment sooner and is slow is of no use': ['warm-up'],
  'the library is there to compare the built-in engine with': ['grpc-engine'],
  'acknowledged writes could be lost': ['unsafe-no-fsync'],
}

test('every flag of a member that is safe to set is an option', () => {
  const options: ReadonlySet<string> = new Set(Object.values({ ...OPTION_FLAGS, ...TLS_FLAGS }).map(([flag]) => flag))
  const others = new Set(Object.values(NOT_OPTIONS).flat())
  const works = Object.keys(FLAGS).filter((name) => isFlag(name) && classOf(flagOf(name)) === 'implemented')
  assert.deepEqual(
    works.filter((name) => !options.has(name) && !others.has(name)),
    [],
  )
  assert.deepEqual(
    [...options, ...others].filter((name) => !isFlag(name)),
    [],
  )
  assert.deepEqual(
    [...options].filter((name) => others.has(name)),
    [],
  )
})

test('a member understands every option as it is written', () => {
  const args = [...memberFlags(EVERY_OPTION), ...TLS, ...tlsFlags(EVERY_OPTION)]
  const parsed = parseConfig(args, {}, () => assert.fail('no file is read'))
  assert(parsed.kind === 'run', JSON.stringify(parsed))
  const { config } = parsed
  assert.deepEqual(parsed.warnings, [])
  assert.deepEqual(
    [config.electionTimeoutMs, config.quotaBackendBytes, config.maintenance.corruptCheckMs],
    [2500, 8_589_934_592, 3_600_000],
  )
  assert.deepEqual(config.maintenance, {
    autoCompaction: { mode: 'periodic', retentionMs: 5_400_000 },
    corruptCheckMs: 3_600_000,
    compactHashCheckMs: 60_000,
    checksAtStart: true,
  })
  assert.deepEqual(config.http, {
    isGatewayEnabled: false,
    corsOrigins: ['https://a.example'],
    hostWhitelist: ['a.example', 'b.example'],
  })
  assert.deepEqual([config.log.level, config.log.format, config.warningApplyMs], ['debug', 'console', 250])
  assert.deepEqual([config.authToken, config.bcryptCost], [{ kind: 'simple', ttlMs: 600_000 }, 12])
  for (const side of [config.clientTls, config.peerTls]) {
    assert.deepEqual([side?.minVersion, side?.maxVersion], ['TLSv1.2', 'TLSv1.3'])
    assert.deepEqual(side?.cipherSuites, EVERY_OPTION.cipherSuites)
  }
})

test('a member takes the least and the most that the schema lets through', () => {
  for (const [name, { minimum, maximum, enum: choices }] of Object.entries(OPTIONS_SCHEMA)) {
    for (const value of [minimum, maximum, ...(choices ?? [])].filter((one) => one !== undefined)) {
      const others = { electionTimeoutMs: 50_000, heartbeatMs: 10, autoCompactionRetention: '1000' }
      const options = { ...others, [name]: value }
      const args = [...memberFlags(options), ...TLS, ...tlsFlags(options)]
      const parsed = parseConfig(args, {}, () => assert.fail('no file is read'))
      const isTogether = name === 'electionTimeoutMs' || name === 'heartbeatMs'
      assert(parsed.kind === 'run' || isTogether, `${name} = ${value}: ${JSON.stringify(parsed)}`)
    }
  }
})

test('a member has every cipher suite that the schema lets through', () => {
  const available = new Set(getCiphers())
  const suites = OPTIONS_SCHEMA['cipherSuites']?.items?.enum ?? []
  assert(suites.length > 0)
  for (const suite of suites) assert.deepEqual(missing([suite], available), [], suite)
})

function missing(names: readonly string[], available: ReadonlySet<string>): readonly string[] {
  const list = cipherList(names, available)
  return list.ok ? list.value.missing : assert.fail(list.error)
}
