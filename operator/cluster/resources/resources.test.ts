import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRaftCluster, type RaftCluster } from '../../api/raft-cluster.ts'
import type { Form } from '../form.ts'
import { hasFields } from '../has-fields.ts'
import { adminToken } from './admin-token.ts'
import { FORMS } from './forms.ts'
import { backupClientLabels, ordinalOf, podAdminUrl, selectorLabels } from './names.ts'
import { networkPolicy } from './network-policy.ts'
import { podDisruptionBudget } from './pod-disruption-budget.ts'
import { serviceAccount } from './service-account.ts'
import { clientService, headlessService } from './services.ts'
import { imageOf, memberObjects, statefulSet, type StatefulSetOptions } from './stateful-set.ts'

function raftCluster(spec: object = {}): RaftCluster {
  const parsed = parseRaftCluster({ metadata: { name: 'kv', namespace: 'ns', uid: 'u', resourceVersion: '1' }, spec })
  assert(parsed.ok)
  return parsed.value
}

const OPTIONS: StatefulSetOptions = {
  pods: { start: 0, end: 3 },
  image: 'raftkv:1',
  form: memberObjects,
  formNumber: 1,
  claimTemplate: undefined,
}
const setOf = (spec?: object, options = OPTIONS): object => statefulSet(raftCluster(spec), options)

interface PodTemplate {
  readonly metadata: { readonly labels: Record<string, string>; readonly annotations: Record<string, string> }
  readonly spec: Record<string, unknown> & {
    readonly containers: readonly Record<string, readonly unknown[]>[]
    readonly volumes: readonly unknown[]
  }
}

function podTemplateOf(spec?: object): PodTemplate {
  return (setOf(spec) as { readonly spec: { readonly template: PodTemplate } }).spec.template
}

test('pods start in parallel, are replaced only on delete, and keep their volumes', () => {
  const wanted = {
    replicas: 3,
    ordinals: { start: 0 },
    serviceName: 'kv-headless',
    podManagementPolicy: 'Parallel',
    updateStrategy: { type: 'OnDelete' },
    persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Retain', whenScaled: 'Retain' },
  }
  assert(hasFields(setOf(), { spec: wanted }))
})

test('members meet the restricted pod security standard', () => {
  const pod = {
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, runAsUser: 1000, fsGroup: 1000, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
      },
    ],
  }
  assert(hasFields(setOf(), { spec: { template: { spec: pod } } }))
})

test('nothing about membership is in the pod: it starts waiting', () => {
  const text = JSON.stringify(setOf())
  assert(text.includes('--initial-cluster-state=wait'))
  assert(!/--initial-cluster=|cluster-token/.test(text))
})

test('options become flags, and only those that are set', () => {
  const text = JSON.stringify(setOf({ options: { quotaBytes: 8, heartbeatMs: 50 } }))
  assert(text.includes('--quota-backend-bytes=8') && text.includes('--heartbeat-interval=50'))
  assert(!text.includes('--snapshot-count'))
  assert(text.includes('http://$(POD_NAME).kv-headless.$(POD_NAMESPACE).svc.cluster.local:2380'))
})

test('options of TLS are for members that are made to speak it', () => {
  const [plain, , secured] = FORMS
  assert(plain !== undefined && secured !== undefined)
  const options = { tlsMinVersion: 'TLS1.3' }
  const has = (form: Form): boolean => JSON.stringify(setOf({ options }, { ...OPTIONS, form })).includes('--tls-min-')
  assert.deepEqual([has(plain), has(secured)], [false, true])
})

test('a member that goes serves on until no Service leads to it, unless its pod has little time', () => {
  const [, , secured, unhurried] = FORMS
  assert(secured !== undefined && unhurried !== undefined)
  const delays = (form: Form, podTemplate: object): boolean =>
    JSON.stringify(setOf({ podTemplate }, { ...OPTIONS, form })).includes(
      '{"name":"ETCD_SHUTDOWN_DELAY_DURATION","value":"2s"}',
    )
  assert.deepEqual([delays(unhurried, {}), delays(secured, {})], [true, false])
  assert(!delays(unhurried, { terminationGracePeriodSeconds: 5 }))
})

test('a form after that of TLS has no flag of its own: an image of the release before would refuse it', () => {
  const argsOf = (form: Form): unknown => memberArgsIn(form(raftCluster(), 'raftkv:1').pod)
  const [, , secured, ...later] = FORMS
  assert(secured !== undefined && later.length > 0)
  for (const form of later) assert.deepEqual(argsOf(form), argsOf(secured))
})

function memberArgsIn(pod: Readonly<Record<string, unknown>>): unknown {
  const { containers } = pod as PodTemplate['spec']
  return containers[0]?.['args']
}

test('podTemplate is set on pods, beside what the operator needs itself', () => {
  const secret = { name: 'KEY', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }
  const podTemplate = {
    labels: { team: 'a' },
    annotations: { note: 'b' },
    serviceAccountName: 'own',
    terminationGracePeriodSeconds: 60,
    securityContext: { runAsNonRoot: true, supplementalGroups: [] },
    containerSecurityContext: { readOnlyRootFilesystem: false, capabilities: { add: ['SYS_NICE'], drop: [] } },
    envFrom: [{ prefix: '', configMapRef: { name: 'm' } }],
    env: [secret, { name: 'EMPTY', value: '' }],
    volumes: [{ name: 'tmp', emptyDir: {} }],
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp', readOnly: false }],
    initContainers: [{ name: 'first', image: 'i' }],
    extraContainers: [{ name: 'beside', image: 'i' }],
    topologySpreadConstraints: [],
  }
  const template = podTemplateOf({ podTemplate })
  const { metadata, spec } = template
  assert.equal(metadata.labels['team'], 'a')
  assert.equal(metadata.labels['app.kubernetes.io/name'], 'raftkv')
  assert.equal(metadata.annotations['note'], 'b')
  assert.deepEqual(
    [spec['serviceAccountName'], spec['automountServiceAccountToken'], spec['terminationGracePeriodSeconds']],
    ['own', undefined, 60],
  )
  const [member, beside] = spec.containers
  assert.deepEqual(member?.['env']?.slice(2), [secret, { name: 'EMPTY' }])
  assert.deepEqual(member?.['envFrom'], [{ configMapRef: { name: 'm' } }])
  const container = { readOnlyRootFilesystem: false, capabilities: { add: ['SYS_NICE'] } }
  assert.deepEqual(member?.['securityContext'], container)
  assert.deepEqual(member?.['volumeMounts']?.slice(2), [{ name: 'tmp', mountPath: '/tmp' }])
  assert.deepEqual(beside, { name: 'beside', image: 'i' })
  assert.deepEqual(spec['initContainers'], podTemplate.initContainers)
  assert.deepEqual(spec['volumes'].slice(1), podTemplate.volumes)
  // Empty lists: Kubernetes does not keep them, and they would be applied at every look.
  assert.deepEqual(spec['securityContext'], { runAsNonRoot: true })
  assert(!('topologySpreadConstraints' in spec))
})

test('unless the spec says otherwise pods ask for room and prefer different hosts and zones', () => {
  const form = FORMS.at(-1) ?? assert.fail()
  const podOf = (spec?: object): PodTemplate['spec'] =>
    (setOf(spec, { ...OPTIONS, form }) as { readonly spec: { readonly template: PodTemplate } }).spec.template.spec
  const pod = podOf()
  assert.deepEqual(pod.containers[0]?.['resources'], { requests: { cpu: '100m', memory: '256Mi' } })
  assert(JSON.stringify(pod['affinity']).includes('preferredDuringScheduling'))
  const spread = [{ maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'ScheduleAnyway' }]
  assert(hasFields(pod['topologySpreadConstraints'], spread))
  const own = [{ maxSkew: 2, topologyKey: 'rack', whenUnsatisfiable: 'DoNotSchedule' }]
  const asked = podOf({ resources: { requests: { cpu: '2' } }, podTemplate: { topologySpreadConstraints: own } })
  assert.deepEqual(asked.containers[0]?.['resources'], { requests: { cpu: '2' } })
  assert(hasFields(asked['topologySpreadConstraints'], own))
})

test('a StatefulSet keeps the claim template it has: it cannot change', () => {
  const text = JSON.stringify(setOf({ storage: { size: '20Gi' } }))
  assert(text.includes('"storage":"20Gi"'))
  const claimTemplate = {
    metadata: { name: 'data', labels: { by: 'an earlier one' } },
    spec: { volumeMode: 'Filesystem' },
  }
  assert(hasFields(setOf({}, { ...OPTIONS, claimTemplate }), { spec: { volumeClaimTemplates: [claimTemplate] } }))
  const made = setOf({}, { ...OPTIONS, claimTemplate })
  assert(!JSON.stringify(made).includes('"storage":'))
})

test('every object but the volumes is owned by its RaftCluster', () => {
  const cluster = raftCluster()
  const objects = [
    serviceAccount(cluster),
    headlessService(cluster),
    clientService(cluster),
    podDisruptionBudget(cluster, 3),
    networkPolicy(raftCluster({ networkPolicy: { enabled: true } }), undefined),
    statefulSet(cluster, OPTIONS),
    adminToken(cluster, Buffer.alloc(32)),
  ]
  for (const { kind, metadata } of objects.filter((object) => object !== undefined)) {
    assert.deepEqual(
      metadata.ownerReferences?.map(({ uid, controller }) => [uid, controller]),
      [['u', true]],
      kind,
    )
  }
  assert(JSON.stringify(statefulSet(cluster, OPTIONS)).includes('"raftkv.dev/cluster-uid":"u"'))
})

test('the headless Service names members before they are ready; clients see ready ones only', () => {
  assert(hasFields(headlessService(raftCluster()), { spec: { clusterIP: 'None', publishNotReadyAddresses: true } }))
  assert(!JSON.stringify(clientService(raftCluster())).includes('publishNotReadyAddresses'))
})

test('DNS discovery finds the ports of the headless Service, and meshes their protocols', () => {
  const ports = (object: object): unknown => Reflect.get(object, 'spec').ports
  const expected = [
    { name: 'etcd-client', port: 2379, targetPort: 'client', protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
    { name: 'etcd-server', port: 2380, targetPort: 'peer', protocol: 'TCP', appProtocol: 'tcp' },
    { name: 'admin', port: 8080, targetPort: 'admin', protocol: 'TCP', appProtocol: 'http' },
    { name: 'metrics', port: 2382, targetPort: 2382, protocol: 'TCP', appProtocol: 'http' },
  ]
  assert.deepEqual(ports(headlessService(raftCluster())), expected)
  const earlier = [{ name: 'client', port: 2379, targetPort: 'client', protocol: 'TCP' }]
  const present = { apiVersion: 'v1', kind: 'Service', metadata: { name: 's' }, spec: { ports: earlier } }
  assert.deepEqual(ports(headlessService(raftCluster(), present)), [...earlier, ...expected.slice(1)])
  assert.deepEqual(ports(clientService(raftCluster(), present)), earlier)
})

test('the Service of clients is as the spec says, and loses what the spec no longer says', () => {
  const service = {
    type: 'LoadBalancer',
    annotations: { a: 'b' },
    loadBalancerClass: 'c',
    loadBalancerSourceRanges: ['10.0.0.0/8'],
  }
  const { annotations, ...fields } = service
  const made = clientService(raftCluster({ service }))
  assert(hasFields(made, { metadata: { annotations }, spec: fields }))
  assert(!JSON.stringify(headlessService(raftCluster({ service }))).includes('LoadBalancer'))
  assert(!hasFields(made, clientService(raftCluster(), made)), 'applied once more, which takes the others away')
  assert.deepEqual(clientService(raftCluster()).metadata.annotations, undefined)
})

test('Services have the families of addresses that are asked for', () => {
  const network = { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6'] }
  const cluster = raftCluster({ network })
  for (const service of [headlessService, clientService]) {
    assert(hasFields(service(cluster), { spec: network }))
    const made = { ...service(cluster), spec: { ...network, ipFamilies: ['IPv6', 'IPv4'] } }
    assert(hasFields(service(cluster, made), { spec: made.spec }), 'the second one is the API server’s')
  }
})

test('a drain leaves the quorum of the larger of what is and what is to be', () => {
  const minAvailable = (replicas: number, voters: number): unknown =>
    Reflect.get(Object(podDisruptionBudget(raftCluster({ replicas }), voters)?.['spec']), 'minAvailable')
  assert.deepEqual(
    [minAvailable(3, 1), minAvailable(3, 3), minAvailable(3, 5), minAvailable(5, 3), minAvailable(1, 3)],
    [2, 2, 3, 3, 2],
  )
})

test('who is not ready never holds up a drain, nor does one member alone', () => {
  const budget = podDisruptionBudget(raftCluster(), 3)
  assert(hasFields(budget, { spec: { unhealthyPodEvictionPolicy: 'AlwaysAllow' } }))
  assert.equal(podDisruptionBudget(raftCluster({ replicas: 1 }), 1), undefined)
  assert.equal(podDisruptionBudget(raftCluster({ pdb: { enabled: false } }), 3), undefined)
})

const OPERATOR = { namespace: 'system', labels: { app: 'operator' } }

/** Who reaches a port; undefined where anybody does. */
function admitted(spec: object, port: number, operator?: typeof OPERATOR): unknown {
  const made = networkPolicy(raftCluster({ networkPolicy: { enabled: true, ...spec } }), operator)
  const rules = Object(made?.['spec']).ingress as readonly { ports: readonly { port: number }[]; from?: unknown }[]
  const rule = rules.filter(({ ports }) => ports.some((one) => one.port === port))
  assert.equal(rule.length, 1, `${port} stands in one rule`)
  return rule[0]?.from
}

test('a network policy lets members alone reach the peer port, them and the operator the admin port', () => {
  const own = { podSelector: { matchLabels: selectorLabels({ name: 'kv', namespace: 'ns' }) } }
  const backups = { podSelector: { matchLabels: backupClientLabels({ name: 'kv' }) } }
  const operator = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'system' } },
    podSelector: { matchLabels: { app: 'operator' } },
  }
  assert.deepEqual(admitted({}, 2380, OPERATOR), [own])
  assert.deepEqual(admitted({}, 8080, OPERATOR), [own, operator])
  assert.deepEqual(admitted({}, 2379, OPERATOR), [own, backups, operator, { podSelector: {} }])
  assert.deepEqual(admitted({}, 2382, OPERATOR), [own, operator, { podSelector: {} }])
  const [clientFrom, metricsFrom] = [[{ namespaceSelector: {} }], [{ ipBlock: { cidr: '10.0.0.0/8', except: [] } }]]
  assert.deepEqual(admitted({ clientFrom, metricsFrom }, 2379, OPERATOR), [own, backups, operator, ...clientFrom])
  assert.deepEqual(admitted({ clientFrom, metricsFrom }, 2382), [own, { ipBlock: { cidr: '10.0.0.0/8' } }])
  assert.deepEqual(admitted({ clientFrom }, 2380, OPERATOR), [own])
})

test('a network policy shuts out no operator that it cannot name, and there is none where it is off', () => {
  assert.equal(admitted({}, 8080), undefined)
  assert.equal(networkPolicy(raftCluster({ networkPolicy: { enabled: false } }), OPERATOR), undefined)
})

test('an image is as it was where it is not named, in whole or in part', () => {
  const image = (spec: object, base = 'registry:5000/raftkv:1'): string => imageOf(raftCluster({ image: spec }), base)
  assert.equal(image({}), 'registry:5000/raftkv:1')
  assert.equal(image({ tag: '2' }), 'registry:5000/raftkv:2')
  assert.equal(image({ tag: '2' }, 'registry:5000/raftkv@sha256:00'), 'registry:5000/raftkv:2')
  assert.equal(image({ repository: 'other' }), 'other')
  assert.equal(image({ repository: 'other', tag: '2' }), 'other:2')
})

test('ordinals are read from names as a StatefulSet writes them', () => {
  assert.equal(ordinalOf('kv', 'kv-10'), 10)
  for (const name of ['kv', 'kv-', 'kv-01', 'kv-x', 'kv-1-2', 'other-1', 'kv2-1'])
    assert.equal(ordinalOf('kv', name), undefined)
})

test('an IPv6 address is bracketed', () => {
  assert.equal(podAdminUrl({ podName: '', hostName: '', podIP: 'fd00::1', scheme: 'http' }), 'http://[fd00::1]:8080')
})
