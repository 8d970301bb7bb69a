import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'yaml'
import { AS_IN_KUBERNETES } from '../../crds/kubernetes-types.ts'
import { DEFAULTS, resolved } from './defaults.ts'
import { API_VERSION, KIND, parseRaftCluster } from './raft-cluster.ts'
import { EVERY_OPTION } from './testing/options.ts'

interface Schema {
  readonly type?: string
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly items?: Schema
  readonly maxItems?: number
  readonly maxLength?: number
  readonly enum?: readonly string[]
  readonly format?: string
}

const CRD = parse(readFileSync(new URL('../../crds/raftclusters.raftkv.dev.yaml', import.meta.url), 'utf8')) as {
  readonly spec: {
    readonly group: string
    readonly names: { readonly kind: string; readonly shortNames: readonly string[] }
    readonly versions: readonly { readonly name: string; readonly schema: { readonly openAPIV3Schema: Schema } }[]
  }
}
const [VERSION] = CRD.spec.versions
const SCHEMA = VERSION?.schema.openAPIV3Schema ?? {}

/** What the API server would fill in. */
function withDefaults(schema: Schema, value: unknown): unknown {
  const start = value === undefined ? schema.default : value
  if (typeof start !== 'object' || start === null || schema.properties === undefined) return start
  const fields = Object.entries(schema.properties).map(([name, field]) => [
    name,
    withDefaults(field, Reflect.get(start, name)),
  ])
  return { ...start, ...Object.fromEntries(fields.filter(([, filled]) => filled !== undefined)) }
}

function raftCluster(spec: unknown, name = 'kv'): unknown {
  return { metadata: { name, namespace: 'ns', uid: 'u', resourceVersion: '1' }, spec }
}

function errorOf(spec: unknown, name?: string): string {
  const parsed = parseRaftCluster(raftCluster(spec, name))
  return parsed.ok ? '' : parsed.error
}

test('group, version and kind are those of the schema', () => {
  assert.equal(API_VERSION, `${CRD.spec.group}/${VERSION?.name}`)
  assert.equal(KIND, CRD.spec.names.kind)
  assert.deepEqual(CRD.spec.names.shortNames, ['raft'])
})

/** What a new cluster has. */
function filledIn(spec: unknown): unknown {
  return resolved(withDefaults(SCHEMA.properties?.['spec'] ?? {}, spec) as Parameters<typeof resolved>[0], DEFAULTS)
}

test('the defaults filled in here are those of the schema', () => {
  const parsed = parseRaftCluster(raftCluster({}))
  assert(parsed.ok)
  assert.deepEqual(JSON.parse(JSON.stringify(parsed.value.spec)), filledIn({}))
})

test('what the schema leaves open is as it was when the cluster was made, unless the spec says it', () => {
  const modes = (spec: object, status?: object): readonly unknown[] => {
    const parsed = parseRaftCluster({ ...(raftCluster(spec) as object), status })
    assert(parsed.ok)
    const { tls, networkPolicy } = parsed.value.spec
    return [tls.peer.mode, tls.client.mode, networkPolicy.enabled]
  }
  const isMade = { clusterID: 'c1' }
  const recorded = (tls: string, networkPolicy: unknown): object => ({
    ...isMade,
    base: { defaults: { tls, networkPolicy } },
  })
  const secure = ['Auto', 'Auto', true]
  const plain = ['Disabled', 'Disabled', false]
  assert.deepEqual(modes({}), secure)
  assert.deepEqual(modes({}, { observedGeneration: 1 }), secure, 'it has no ID yet')
  assert.deepEqual(modes({}, isMade), plain, 'made before there were defaults')
  assert.deepEqual(modes({}, { configIndex: 3 }), plain, 'formed, and its ID was lost')
  assert.deepEqual(modes({}, recorded('Auto', true)), secure)
  assert.deepEqual(modes({}, recorded('Disabled', false)), plain)
  assert.deepEqual(modes({}, recorded('ACME', 'strict')), secure, 'as a later operator may write')
  const spec = { tls: { peer: { mode: 'Disabled' } }, networkPolicy: { enabled: false } }
  assert.deepEqual(modes(spec, recorded('Auto', true)), ['Disabled', 'Auto', false])
  assert.deepEqual(modes({ tls: { client: { mode: 'Auto' } } }, isMade), ['Disabled', 'Auto', false])
})

test('users and roles where clients have no TLS are refused, also where that is not in the spec', () => {
  const spec = { auth: { enabled: true, rootSecretRef: { name: 's' } } }
  assert.equal(errorOf(spec), '')
  const before = parseRaftCluster({ ...(raftCluster(spec) as object), status: { clusterID: 'c1' } })
  assert.match(before.ok ? '' : before.error, /auth\.allowWithoutTLS: must be true/)
})

/** Sources of certificates exclude each other. */
const ISSUED = { mode: 'CertManager', issuerRef: { name: 'i' }, extraNames: ['a.example'], renewBefore: '24h' }
const GIVEN = { mode: 'Secret', secretRef: { name: 's' } }

test('every field of the schema is one that is read: what the spec says is never dropped', () => {
  const whole = {
    image: { repository: 'r', tag: 't', pullSecrets: [{ name: 's' }] },
    storage: { storageClassName: 'c', autogrow: { whenFull: '90%', by: '10Gi', to: '1Ti' } },
    resources: { requests: { cpu: '1' }, limits: { cpu: '1' } },
    podTemplate: {
      labels: { team: 'a' },
      annotations: { note: 'b' },
      serviceAccountName: 'own',
      terminationGracePeriodSeconds: 60,
      priorityClassName: 'p',
      nodeSelector: { a: 'b' },
      tolerations: [{ key: 'k' }],
      affinity: { nodeAffinity: {} },
      topologySpreadConstraints: [{ maxSkew: 1 }],
      securityContext: { runAsNonRoot: true },
      containerSecurityContext: { readOnlyRootFilesystem: true },
      envFrom: [{ prefix: 'P_', secretRef: { name: 's' } }],
      env: [{ name: 'A', value: 'b' }],
      volumes: [{ name: 'tmp', emptyDir: {} }],
      volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      initContainers: [{ name: 'first', image: 'i' }],
      extraContainers: [{ name: 'beside', image: 'i' }],
    },
    options: EVERY_OPTION,
    service: {
      type: 'LoadBalancer',
      annotations: { a: 'b' },
      loadBalancerClass: 'c',
      loadBalancerSourceRanges: ['10.0.0.0/8'],
    },
    network: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] },
    networkPolicy: {
      enabled: true,
      clientFrom: [{ namespaceSelector: { matchLabels: { team: 'a' } } }],
      metricsFrom: [{ ipBlock: { cidr: '10.0.0.0/8' } }],
    },
    tls: { peer: ISSUED, client: GIVEN },
    maintenance: { defragmentation: { schedule: '0 3 * * 0', timeZone: 'UTC', onlyAbove: '30%' }, onNoSpace: 'Tell' },
    recovery: { request: { id: '1', survivor: 'kv-0', acknowledgeDataLoss: true } },
    auth: {
      enabled: true,
      allowWithoutTLS: true,
      rootSecretRef: { name: 's', key: 'k' },
      roles: [{ name: 'r', permissions: [{ prefix: 'a/', access: 'Read' }] }],
      users: [{ name: 'u', passwordSecretRef: { name: 's', key: 'password' }, certificateOnly: false, roles: ['r'] }],
    },
    bootstrap: {
      restore: {
        source: {
          s3: {
            bucket: 'backups',
            prefix: 'p',
            endpoint: 'https://minio',
            region: 'r',
            caSecretRef: { name: 'ca' },
            credentialsSecretRef: { name: 'keys' },
          },
          clusterID: 'c1',
        },
        serviceAccountName: 'backup',
      },
    },
  }
  // What excludes one another is in an example of its own.
  const volume = { claimName: 'nas', path: 'kv' }
  const examples = [
    whole,
    { ...whole, tls: { peer: GIVEN, client: ISSUED } },
    { bootstrap: { adopt: { clusterID: 'c1' } } },
    { recovery: { request: { id: '1', restore: whole.bootstrap.restore, acknowledgeDataLoss: true } } },
    { recovery: { request: { id: '1', restore: { backup: 'b', revision: 4711 }, acknowledgeDataLoss: true } } },
    {
      recovery: {
        request: { id: '1', restore: { source: { volume }, time: 'latest' }, acknowledgeDataLoss: true },
      },
    },
    { bootstrap: { restore: { backup: 'b', revision: 4711 } } },
    { bootstrap: { restore: { source: { volume }, time: '2026-11-30T12:00:00Z' } } },
    { tls: { peer: GIVEN, client: ISSUED } },
  ]
  const schema = SCHEMA.properties?.['spec'] ?? {}
  const missing = examples.map((example) => {
    const parsed = parseRaftCluster(raftCluster(example))
    assert(parsed.ok, JSON.stringify(parsed))
    const filled = filledIn(example)
    assert.deepEqual(JSON.parse(JSON.stringify(parsed.value.spec)), filled)
    return namesIn(schema, filled)
  })
  const isMissing = (name: string): boolean => missing.every((some) => some.some((other) => isWithin(name, other)))
  assert.deepEqual(missing.flat().filter(isMissing), [], 'the examples above name every field')
})

/** Of a part that an example leaves out as a whole, its fields are not listed. */
function isWithin(name: string, part: string): boolean {
  return name === part || name.startsWith(`${part}.`)
}

/** Fields of the schema that the example leaves out; not of what is as in Kubernetes. */
function namesIn(schema: Schema, example: unknown, path = ''): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => {
    const value: unknown = typeof example === 'object' && example !== null ? Reflect.get(example, name) : undefined
    if (`${path}${name}` in AS_IN_KUBERNETES && value !== undefined) return []
    return value === undefined ? [`${path}${name}`] : namesIn(field, value, `${path}${name}.`)
  })
}

test('every list and string of the schema is bounded, which CEL’s cost limit needs', () => {
  const visit = (schema: Schema, path: string): void => {
    if (schema.type === 'array') assert(schema.maxItems !== undefined, path)
    const isTop = ['.apiVersion', '.kind'].includes(path)
    const isBounded = schema.maxLength !== undefined || schema.enum !== undefined || schema.format === 'date-time'
    if (schema.type === 'string' && !isTop) assert(isBounded, path)
    for (const [name, field] of Object.entries(schema.properties ?? {})) visit(field, `${path}.${name}`)
    if (schema.items !== undefined) visit(schema.items, `${path}[]`)
  }
  visit(SCHEMA, '')
})

test('what the schema refuses is refused here too, with the field', () => {
  const cases: readonly (readonly [unknown, RegExp])[] = [
    [{ replicas: 4 }, /replicas: must be odd/],
    [{ replicas: -1 }, /replicas/],
    [{ replicas: 10, allowEvenReplicas: true }, /replicas/],
    [{ replicas: 'x' }, /replicas/],
    [{ storage: { size: '0' } }, /storage\.size/],
    [{ storage: { size: 'big' } }, /storage\.size/],
    [{ options: { electionTimeoutMs: 400 } }, /electionTimeoutMs: must be at least 5 times/],
    [{ clusterDomain: 'a b' }, /clusterDomain/],
    [{ tls: { peer: { mode: 'CertManager' } } }, /tls\.peer\.issuerRef: belongs to mode CertManager/],
    [{ tls: { peer: { mode: 'Auto', issuerRef: { name: 'i' } } } }, /tls\.peer\.issuerRef: belongs/],
    [{ tls: { client: { mode: 'Secret' } } }, /tls\.client\.secretRef: belongs to mode Secret/],
    [
      { tls: { client: { mode: 'Disabled', extraNames: ['a'] } } },
      /tls\.client\.extraNames: are of certificates that are issued/,
    ],
    [{ tls: { peer: { mode: 'Auto', renewBefore: '2160h' } } }, /tls\.peer\.renewBefore: must be from 1m/],
    [{ maintenance: { defragmentation: { schedule: '@daily', onlyAbove: '100%' } } }, /onlyAbove: must be a share/],
    ['text', /spec/],
  ]
  for (const [spec, expected] of cases) assert.match(errorOf(spec), expected)
  assert.equal(errorOf({ replicas: 4, allowEvenReplicas: true }), '')
  for (const name of ['a.b', '1a', 'a'.repeat(41), 'A']) assert.match(errorOf({}, name), /metadata\.name/)
})

test('a status that cannot be read keeps the cluster ID, and the cluster counts as formed', () => {
  const input = { ...(raftCluster({}) as object), status: { clusterID: 'abc', members: 'none' } }
  const parsed = parseRaftCluster(input)
  assert(parsed.ok)
  assert.equal(parsed.value.recorded.clusterID, 'abc')
  assert(parsed.value.recorded.configIndex > 0)
})
