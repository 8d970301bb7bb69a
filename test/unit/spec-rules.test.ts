/**
 * What a RaftCluster may not say, beside wrong types: the API server refuses it with a sentence that names the field and says what to do,
 * and the operator, should it see one nevertheless, refuses it too.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { withTypes } from '../../crds/kubernetes-types.ts'
import { parseRaftCluster } from '../../operator/api/raft-cluster.ts'
import type { JsonObject, KubeObject } from '../../sandbox/api-server/object.ts'
import { customTypes } from '../../sandbox/api-server/resources/custom.ts'
import { applyDefaults } from '../../sandbox/api-server/schema/default.ts'
import { validateCustom } from '../../sandbox/api-server/schema/validate-custom.ts'

const CRD_FILE = join(import.meta.dirname, '..', '..', 'crds', 'raftclusters.raftkv.dev.yaml')
const CRD_TEXT = readFileSync(CRD_FILE, 'utf8')
const [type] = customTypes(parse(CRD_TEXT) as KubeObject, {})
assert(type !== undefined)

function verdicts(spec: JsonObject, before?: JsonObject): { readonly schema: string; readonly operator: string } {
  const objectOf = (one: JsonObject): KubeObject => {
    const metadata = { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }
    const object: KubeObject = {
      apiVersion: 'raftkv.dev/v1alpha1',
      kind: 'RaftCluster',
      metadata,
      spec: structuredClone(one),
    }
    applyDefaults(object, type?.schema ?? assert.fail(), false)
    return object
  }
  const object = objectOf(spec)
  const problems = validateCustom(type ?? assert.fail(), object, before && objectOf(before))
  const parsed = parseRaftCluster(object)
  return { schema: problems.map(({ message }) => message).join('\n'), operator: parsed.ok ? '' : parsed.error }
}

const inPods = (podTemplate: JsonObject): JsonObject => ({ podTemplate })
const SUITE = 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'
const tmp = { name: 'tmp', emptyDir: {} }

const REFUSED: readonly (readonly [JsonObject, RegExp])[] = [
  [{ resources: { requests: { cpu: 2 }, limits: { cpu: '1500m' } } }, /requests must not be above .*lower the request/],
  [{ resources: { requests: { memory: '1Gi' }, limits: { memory: '900Mi' } } }, /requests must not be above/],
  [
    { storage: { size: '20Gi', autogrow: { by: '1Gi', to: '10Gi' } } },
    /storage\.autogrow\.to.* must not be below storage\.size/,
  ],
  [
    { storage: { autogrow: { whenFull: '0%', by: '1Gi', to: '20Gi' } } },
    /storage\.autogrow\.whenFull.* must be a share from 1% to 99%/,
  ],
  [{ bootstrap: {} }, /bootstrap.* must have either restore or adopt/],
  [
    { recovery: { request: { id: '1', acknowledgeDataLoss: true } } },
    /recovery\.request.* must have either survivor or restore/,
  ],
  [
    { recovery: { request: { id: '1', survivor: 'kv-0', restore: { backup: 'b' }, acknowledgeDataLoss: true } } },
    /recovery\.request.* must have either survivor or restore/,
  ],
  [{ bootstrap: { adopt: { clusterID: 'mine' } } }, /bootstrap\.adopt\.clusterID.* must be an ID as /],
  [
    { maintenance: { defragmentation: { schedule: 'at night' } } },
    /maintenance\.defragmentation\.schedule.* must have five fields/,
  ],
  [
    { maintenance: { defragmentation: { schedule: '@daily', onlyAbove: '0.3' } } },
    /maintenance\.defragmentation\.onlyAbove.* must be a share from 1% to 99%/,
  ],
  [inPods({ labels: { 'app.kubernetes.io/name': 'other' } }), /podTemplate\.labels must leave .* to the operator/],
  [inPods({ labels: { 'raftkv.dev/cluster': 'other' } }), /podTemplate\.labels/],
  [inPods({ annotations: { 'raftkv.dev/template-hash': '0' } }), /podTemplate\.annotations must leave/],
  [inPods({ env: [{ name: 'POD_NAME', value: 'x' }] }), /podTemplate\.env must leave/],
  [inPods({ env: [{ name: 'ETCD_QUOTA_BACKEND_BYTES', value: '1' }] }), /set them in spec\.options/],
  [
    inPods({ envFrom: [{ prefix: 'ETCD_', secretRef: { name: 's' } }] }),
    /podTemplate\.envFrom must not .*spec\.options/,
  ],
  [inPods({ extraContainers: [{ name: 'raftkv' }] }), /must not be called raftkv.*call it otherwise/],
  [inPods({ initContainers: [{ name: 'raftkv' }] }), /must not be called raftkv/],
  [inPods({ extraContainers: [{ name: 'a', ports: [{ containerPort: 2379 }] }] }), /must leave the ports client, peer/],
  [inPods({ extraContainers: [{ name: 'a', ports: [{ containerPort: 2382 }] }] }), /must leave the ports/],
  [inPods({ extraContainers: [{ name: 'a', ports: [{ containerPort: 1, name: 'admin' }] }] }), /must leave the ports/],
  [
    inPods({ volumes: [{ name: 'data', emptyDir: {} }] }),
    /podTemplate\.volumes must leave the names data, admin-token,/,
  ],
  ...[
    '/var/lib/raftkv',
    '/var/lib/raftkv/data/',
    '/var/lib',
    '//var//lib/',
    '/',
    '/etc',
    '/etc/raftkv/admin/x',
    '/etc/raftkv/peer-tls',
  ].map(
    (mountPath) =>
      [inPods({ volumes: [tmp], volumeMounts: [{ name: 'tmp', mountPath }] }), /volumeMounts must leave/] as const,
  ),
  [{ options: { tlsMinVersion: 'TLS1.3', tlsMaxVersion: 'TLS1.2' } }, /tlsMinVersion must not be above .*lower/],
  [{ options: { tlsMinVersion: 'TLS1.3', cipherSuites: [SUITE] } }, /cipherSuites are those of TLS 1\.2.*leave out/],
  [{ options: { tlsMaxVersion: 'TLS1.1' } }, /Unsupported value: "TLS1\.1"/],
  [{ options: { cipherSuites: ['AES128-SHA'] } }, /Unsupported value: "AES128-SHA"/],
  [{ options: { bcryptCost: 15 } }, /less than or equal to 14/],
  [{ options: { autoCompactionMode: 'revision' } }, /autoCompactionMode says what .*set both/],
  [{ options: { autoCompactionMode: 'revision', autoCompactionRetention: '1h' } }, /must be a number of revisions/],
  [{ service: { loadBalancerClass: 'a' } }, /service\.type must be LoadBalancer/],
  [{ service: { annotations: { 'raftkv.dev/a': 'b' } } }, /service\.annotations must leave/],
  [{ networkPolicy: { clientFrom: [{}] } }, /networkPolicy\.clientFrom must have either/],
  [
    { networkPolicy: { metricsFrom: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] } },
    /networkPolicy\.metricsFrom must have either/,
  ],
  [
    { auth: { enabled: true, rootSecretRef: { name: 's' } }, tls: { client: { mode: 'Disabled' } } },
    /auth\.enabled needs clients with TLS.*allowWithoutTLS/,
  ],
  [{ auth: { enabled: true, allowWithoutTLS: true } }, /auth\.rootSecretRef must name a Secret/],
  [{ auth: { roles: [{ name: 'root' }] } }, /auth\.roles must not have a name root/],
  [{ auth: { users: [{ name: 'root', certificateOnly: true }] } }, /auth\.users must not have a name root/],
  [{ auth: { users: [{ name: 'a' }] } }, /either passwordSecretRef or certificateOnly/],
  [
    { auth: { users: [{ name: 'a', certificateOnly: true, passwordSecretRef: { name: 's' } }] } },
    /either passwordSecretRef/,
  ],
  [{ auth: { roles: [{ name: 'a', permissions: [{ access: 'Read' }] }] } }, /must have one of key, prefix and range/],
  [
    { auth: { roles: [{ name: 'a', permissions: [{ access: 'Read', key: 'a', prefix: '' }] }] } },
    /must have one of key, prefix and range/,
  ],
  [{ network: { ipFamilies: ['IPv4', 'IPv6'] } }, /must be PreferDualStack or RequireDualStack/],
  ...['peer', 'client'].flatMap((side): [JsonObject, RegExp][] => [
    [{ tls: { [side]: { mode: 'CertManager' } } }, /issuerRef says who issues .*: set both, or neither/],
    [{ tls: { [side]: { mode: 'Auto', issuerRef: { name: 'i' } } } }, /issuerRef says who issues/],
    [{ tls: { [side]: { mode: 'Secret' } } }, /secretRef says what is shown .*: set both, or neither/],
    [{ tls: { [side]: { secretRef: { name: 's' } } } }, /secretRef says what is shown/],
    [
      { tls: { [side]: { mode: 'Disabled', extraNames: ['a'] } } },
      /extraNames and renewBefore are of certificates that are issued/,
    ],
    [{ tls: { [side]: { mode: 'Auto', renewBefore: '59s' } } }, /renewBefore must be from 1m to below 2160h/],
    [{ tls: { [side]: { mode: 'Auto', renewBefore: '2160h' } } }, /renewBefore must be from 1m to below 2160h/],
  ]),
]

test('what is the operator’s own, or does not go together, is refused with a sentence', () => {
  for (const [spec, sentence] of REFUSED) {
    const { schema, operator } = verdicts(spec)
    assert.match(schema, sentence, JSON.stringify(spec))
    assert.notEqual(operator, '', `the operator takes ${JSON.stringify(spec)}`)
  }
})

test('what stands beside it is taken', () => {
  const taken: readonly JsonObject[] = [
    { resources: { requests: { cpu: '1', memory: '1Gi' }, limits: { cpu: 1, memory: '1024Mi' } } },
    { resources: { requests: { cpu: '1' }, limits: { memory: '1Mi' } } },
    inPods({ labels: { 'app.kubernetes.io/part-of': 'shop' }, annotations: { 'prometheus.io/scrape': 'true' } }),
    inPods({ env: [{ name: 'NODE_OPTIONS', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }] }),
    inPods({ envFrom: [{ secretRef: { name: 's' } }, { prefix: 'APP_', configMapRef: { name: 'm' } }] }),
    inPods({ extraContainers: [{ name: 'a', ports: [{ containerPort: 9090, name: 'http' }] }] }),
    inPods({ volumes: [tmp], volumeMounts: [{ name: 'tmp', mountPath: '/var/lib/raftkv-tmp' }] }),
    { options: { autoCompactionRetention: '1h' } },
    { options: { tlsMinVersion: 'TLS1.2', tlsMaxVersion: 'TLS1.2', cipherSuites: [SUITE] } },
    { options: { tlsMinVersion: 'TLS1.3', authTokenTTLSeconds: 1, bcryptCost: 4 } },
    { service: { type: 'LoadBalancer', loadBalancerClass: 'a' } },
    { networkPolicy: { enabled: true, clientFrom: [{ podSelector: {}, namespaceSelector: {} }] } },
    {
      auth: { enabled: true, allowWithoutTLS: true, rootSecretRef: { name: 's' } },
      tls: { client: { mode: 'Disabled' } },
    },
    { auth: { enabled: true, rootSecretRef: { name: 's' } } },
    { tls: { client: { extraNames: ['a'], renewBefore: '720h' } } },
    { auth: { enabled: true, rootSecretRef: { name: 's' } }, tls: { client: { mode: 'Auto' } } },
    { auth: { roles: [{ name: 'a', permissions: [{ access: 'Read', prefix: '' }] }] } },
    { network: { ipFamilies: ['IPv6'] } },
    { tls: { peer: { mode: 'Auto', extraNames: ['*.a.example', '10.0.0.1', 'fd00::1'], renewBefore: '1h30m' } } },
    { tls: { client: { mode: 'CertManager', issuerRef: { name: 'i' }, clientCertificates: 'None' } } },
  ]
  for (const spec of taken) assert.deepEqual(verdicts(spec), { schema: '', operator: '' }, JSON.stringify(spec))
})

test('the first family of addresses cannot change, a second one can come', () => {
  const network = (...ipFamilies: readonly string[]): JsonObject => ({
    network: { ipFamilies: [...ipFamilies], ipFamilyPolicy: 'PreferDualStack' },
  })
  assert.match(verdicts(network('IPv6'), network('IPv4')).schema, /the first of network\.ipFamilies cannot change/)
  assert.equal(verdicts(network('IPv4', 'IPv6'), network('IPv4')).schema, '')
})

test('members that restart one by one keep a version of TLS in common', () => {
  const only12: JsonObject = { options: { tlsMaxVersion: 'TLS1.2' } }
  const only13: JsonObject = { options: { tlsMinVersion: 'TLS1.3' } }
  for (const [before, after] of [
    [only12, only13],
    [only13, only12],
  ] as const) {
    assert.match(verdicts(after, before).schema, /allow both versions/)
    assert.equal(verdicts({}, before).schema, '')
    assert.equal(verdicts(after, {}).schema, '')
  }
})

test('what is as in Kubernetes is by the types that the API server has for it', () => {
  assert.equal(compact(withTypes(CRD_TEXT)), compact(CRD_TEXT))
})

/** Without what a formatter changes. */
function compact(yaml: string): string {
  return JSON.stringify(parse(yaml))
}

test('`kubectl delete all --all` takes no RaftCluster and no backup: their CRDs are in no category', () => {
  for (const plural of ['raftclusters', 'raftbackups', 'scheduledraftbackups']) {
    const text = readFileSync(join(import.meta.dirname, '..', '..', 'crds', `${plural}.raftkv.dev.yaml`), 'utf8')
    assert.equal(parse(text).spec.names.categories, undefined, plural)
  }
})
