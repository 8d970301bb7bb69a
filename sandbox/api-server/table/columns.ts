/** The columns of Kubernetes' own types, as `kubectl get` shows them. */
import { at, isObject, listAt, numberAt, objectAt, textAt, type Json, type KubeObject } from '../object.ts'
import type { ResourceType } from '../resources/resource-type.ts'
import { selectorText } from '../rest/selector-text.ts'
import { age } from './duration.ts'
import type { Column } from './column.ts'
import { podColumns } from './pod-columns.ts'

const NONE = '<none>'

export function column(name: string, cell: Column['cell'], priority = 0, type = 'string'): Column {
  return { name, type, priority, cell }
}

/** A text by path, or `empty`. */
export function text(name: string, path: string, empty = '', priority = 0): Column {
  return column(name, (object) => textAt(object, ...path.split('.')) || empty, priority)
}

function count(name: string, path: string, priority = 0): Column {
  return column(name, (object) => numberAt(object, ...path.split('.')) ?? 0, priority, 'integer')
}

const NAME: Column = { ...text('Name', 'metadata.name'), format: 'name' }
const AGE = column('Age', (object, nowMs) => age(textAt(object, 'metadata', 'creationTimestamp'), nowMs))
const CREATED_AT = text('Created At', 'metadata.creationTimestamp')

const containerNames = column('Containers', (object) => ofContainers(object, 'name'), 1)
const containerImages = column('Images', (object) => ofContainers(object, 'image'), 1)
const selector = column('Selector', (object) => selectorText(at(object, 'spec', 'selector')), 1)

function ofContainers(object: KubeObject, field: string): string {
  return listAt(object, 'spec', 'template', 'spec', 'containers')
    .map((container) => textAt(container, field))
    .join(',')
}

function ports(service: KubeObject): string {
  const listed = listAt(service, 'spec', 'ports').map((port) => {
    const node = numberAt(port, 'nodePort')
    return `${numberAt(port, 'port') ?? 0}${node === undefined ? '' : `:${node}`}/${textAt(port, 'protocol')}`
  })
  return listed.length === 0 ? NONE : listed.join(',')
}

function serviceSelector(service: KubeObject): string {
  const labels = Object.entries(objectAt(service, 'spec', 'selector')).map(([key, value]) => `${key}=${textAt(value)}`)
  return labels.length === 0 ? NONE : labels.toSorted().join(',')
}

const ACCESS_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
}

function accessModes(modes: readonly Json[]): string {
  return modes.map((mode) => ACCESS_MODES[textAt(mode)] ?? '').join(',')
}

function claimStatus(claim: KubeObject): string {
  return at(claim, 'metadata', 'deletionTimestamp') === undefined ? textAt(claim, 'status', 'phase') : 'Terminating'
}

function claimSize(claim: KubeObject): string {
  return textAt(claim, 'spec', 'volumeName') === '' ? '' : textAt(claim, 'status', 'capacity', 'storage')
}

function nodeStatus(node: KubeObject): string {
  const ready = listAt(node, 'status', 'conditions').find((condition) => textAt(condition, 'type') === 'Ready')
  const state = ready === undefined ? 'Unknown' : textAt(ready, 'status') === 'True' ? 'Ready' : 'NotReady'
  return at(node, 'spec', 'unschedulable') === true ? `${state},SchedulingDisabled` : state
}

function nodeRoles(node: KubeObject): string {
  const prefix = 'node-role.kubernetes.io/'
  const roles = Object.keys(objectAt(node, 'metadata', 'labels')).filter((label) => label.startsWith(prefix))
  return roles.length === 0
    ? NONE
    : roles
        .map((label) => label.slice(prefix.length))
        .toSorted()
        .join(',')
}

function nodeAddress(type: string): Column['cell'] {
  return (node) => {
    const found = listAt(node, 'status', 'addresses').find((address) => textAt(address, 'type') === type)
    return textAt(found, 'address') || NONE
  }
}

function eventSubject(event: KubeObject): string {
  const object = objectAt(event, 'involvedObject')
  return `${textAt(object, 'kind').toLowerCase()}/${textAt(object, 'name')}`
}

function eventSource(event: KubeObject): string {
  const component = textAt(event, 'source', 'component') || textAt(event, 'reportingComponent')
  const instance = textAt(event, 'source', 'host') || textAt(event, 'reportingInstance')
  return instance === '' ? component : `${component}, ${instance}`
}

function lastSeen(event: KubeObject, nowMs: number): string {
  const times = ['lastTimestamp', 'eventTime', 'firstTimestamp'].map((name) => textAt(event, name))
  const series = textAt(event, 'series', 'lastObservedTime')
  return age(series || (times.find((time) => time !== '') ?? ''), nowMs)
}

function endpointAddresses(endpoints: KubeObject): string {
  const found = listAt(endpoints, 'subsets').flatMap((subset) => {
    const numbers = listAt(subset, 'ports').map((port) => numberAt(port, 'port') ?? 0)
    const addresses = listAt(subset, 'addresses').map((address) => textAt(address, 'ip'))
    return addresses.flatMap((address) =>
      numbers.length === 0 ? [address] : numbers.map((port) => `${address}:${port}`),
    )
  })
  return shortList(found)
}

function shortList(values: readonly string[], most = 3): string {
  if (values.length === 0) return NONE
  const more = values.length > most ? ` + ${values.length - most} more...` : ''
  return values.slice(0, most).join(',') + more
}

const budgetBound =
  (field: string): Column['cell'] =>
  (budget) => {
    const value = at(budget, 'spec', field)
    return typeof value === 'string' || typeof value === 'number' ? String(value) : 'N/A'
  }

const dataCount = (object: KubeObject): number =>
  Object.keys(objectAt(object, 'data')).length + Object.keys(objectAt(object, 'binaryData')).length

const ready = (object: KubeObject): string =>
  `${numberAt(object, 'status', 'readyReplicas') ?? 0}/${numberAt(object, 'spec', 'replicas') ?? 0}`

function subjects(kind: string): Column['cell'] {
  return (binding) => {
    const found = listAt(binding, 'subjects').filter((subject) => textAt(subject, 'kind') === kind)
    return found
      .map((subject) => (kind === 'ServiceAccount' ? `${textAt(subject, 'namespace')}/` : '') + textAt(subject, 'name'))
      .join(', ')
  }
}

const bindingColumns: readonly Column[] = [
  NAME,
  column('Role', (binding) => `${textAt(binding, 'roleRef', 'kind')}/${textAt(binding, 'roleRef', 'name')}`),
  AGE,
  column('Users', subjects('User'), 1),
  column('Groups', subjects('Group'), 1),
  column('ServiceAccounts', subjects('ServiceAccount'), 1),
]

const flag = (name: string, path: string): Column =>
  column(name, (object) => at(object, ...path.split('.')) === true, 0, 'string')

const COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/pods': podColumns(NAME, AGE),
  '/services': [
    NAME,
    text('Type', 'spec.type'),
    text('Cluster-IP', 'spec.clusterIP', NONE),
    column(
      'External-IP',
      (service) =>
        textAt(service, 'spec', 'externalName') ||
        (textAt(service, 'spec', 'type') === 'LoadBalancer' ? '<pending>' : NONE),
    ),
    column('Port(s)', ports),
    AGE,
    column('Selector', serviceSelector, 1),
  ],
  '/endpoints': [NAME, column('Endpoints', endpointAddresses), AGE],
  '/configmaps': [NAME, column('Data', dataCount), AGE],
  '/secrets': [NAME, text('Type', 'type'), column('Data', dataCount), AGE],
  '/serviceaccounts': [NAME, column('Secrets', (account) => listAt(account, 'secrets').length), AGE],
  '/namespaces': [NAME, text('Status', 'status.phase'), AGE],
  '/nodes': [
    NAME,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    AGE,
    text('Version', 'status.nodeInfo.kubeletVersion'),
    column('Internal-IP', nodeAddress('InternalIP'), 1),
    column('External-IP', nodeAddress('ExternalIP'), 1),
    text('OS-Image', 'status.nodeInfo.osImage', '<unknown>', 1),
    text('Kernel-Version', 'status.nodeInfo.kernelVersion', '<unknown>', 1),
    text('Container-Runtime', 'status.nodeInfo.containerRuntimeVersion', '<unknown>', 1),
  ],
  '/events': [
    column('Last Seen', lastSeen),
    text('Type', 'type'),
    text('Reason', 'reason'),
    column('Object', eventSubject),
    text('Subobject', 'involvedObject.fieldPath', '', 1),
    column('Source', eventSource, 1),
    column('Message', (event) => textAt(event, 'message').trim()),
    column(
      'First Seen',
      (event, nowMs) => age(textAt(event, 'firstTimestamp') || textAt(event, 'eventTime'), nowMs),
      1,
    ),
    column('Count', (event) => numberAt(event, 'count') ?? numberAt(event, 'series', 'count') ?? 1, 1),
    { ...text('Name', 'metadata.name', '', 1), format: 'name' },
  ],
  '/persistentvolumeclaims': [
    NAME,
    column('Status', claimStatus),
    text('Volume', 'spec.volumeName'),
    column('Capacity', claimSize),
    column('Access Modes', (claim) =>
      textAt(claim, 'spec', 'volumeName') === '' ? '' : accessModes(listAt(claim, 'status', 'accessModes')),
    ),
    text('StorageClass', 'spec.storageClassName'),
    text('VolumeAttributesClass', 'spec.volumeAttributesClassName', '<unset>'),
    AGE,
    text('VolumeMode', 'spec.volumeMode', '<unset>', 1),
  ],
  '/persistentvolumes': [
    NAME,
    text('Capacity', 'spec.capacity.storage'),
    column('Access Modes', (volume) => accessModes(listAt(volume, 'spec', 'accessModes'))),
    text('Reclaim Policy', 'spec.persistentVolumeReclaimPolicy'),
    column('Status', claimStatus),
    column('Claim', (volume) => {
      const claim = objectAt(volume, 'spec', 'claimRef')
      return isObject(claim) && textAt(claim, 'name') !== ''
        ? `${textAt(claim, 'namespace')}/${textAt(claim, 'name')}`
        : ''
    }),
    text('StorageClass', 'spec.storageClassName'),
    text('VolumeAttributesClass', 'spec.volumeAttributesClassName', '<unset>'),
    text('Reason', 'status.reason'),
    AGE,
    text('VolumeMode', 'spec.volumeMode', '<unset>', 1),
  ],
  'apps/statefulsets': [NAME, column('Ready', ready), AGE, containerNames, containerImages],
  'apps/deployments': [
    NAME,
    column('Ready', ready),
    column('Up-to-date', (object) => numberAt(object, 'status', 'updatedReplicas') ?? 0),
    column('Available', (object) => numberAt(object, 'status', 'availableReplicas') ?? 0),
    AGE,
    containerNames,
    containerImages,
    selector,
  ],
  'apps/replicasets': [
    NAME,
    count('Desired', 'spec.replicas'),
    count('Current', 'status.replicas'),
    count('Ready', 'status.readyReplicas'),
    AGE,
    containerNames,
    containerImages,
    selector,
  ],
  'apps/controllerrevisions': [
    NAME,
    column('Controller', (object) => {
      const owner = listAt(object, 'metadata', 'ownerReferences').find((each) => at(each, 'controller') === true)
      return owner === undefined ? NONE : `${qualifiedOwner(owner)}/${textAt(owner, 'name')}`
    }),
    column('Revision', (object) => numberAt(object, 'revision') ?? 0),
    AGE,
  ],
  'policy/poddisruptionbudgets': [
    NAME,
    column('Min Available', budgetBound('minAvailable')),
    column('Max Unavailable', budgetBound('maxUnavailable')),
    count('Allowed Disruptions', 'status.disruptionsAllowed'),
    AGE,
  ],
  'networking.k8s.io/networkpolicies': [
    NAME,
    column('Pod-Selector', (policy) => selectorText(at(policy, 'spec', 'podSelector')) || NONE),
    AGE,
  ],
  'coordination.k8s.io/leases': [NAME, text('Holder', 'spec.holderIdentity'), AGE],
  'discovery.k8s.io/endpointslices': [
    NAME,
    text('AddressType', 'addressType'),
    column('Ports', (slice) =>
      shortList(listAt(slice, 'ports').map((port) => String(numberAt(port, 'port') ?? '*'))).replace(NONE, '<unset>'),
    ),
    column('Endpoints', (slice) =>
      shortList(listAt(slice, 'endpoints').flatMap((each) => listAt(each, 'addresses').map(String))).replace(
        NONE,
        '<unset>',
      ),
    ),
    AGE,
  ],
  'storage.k8s.io/storageclasses': [
    column('Name', (object) => {
      const isDefault =
        textAt(object, 'metadata', 'annotations', 'storageclass.kubernetes.io/is-default-class') === 'true'
      return textAt(object, 'metadata', 'name') + (isDefault ? ' (default)' : '')
    }),
    text('Provisioner', 'provisioner'),
    text('ReclaimPolicy', 'reclaimPolicy', 'Delete'),
    text('VolumeBindingMode', 'volumeBindingMode', 'Immediate'),
    flag('AllowVolumeExpansion', 'allowVolumeExpansion'),
    AGE,
  ],
  'rbac.authorization.k8s.io/roles': [NAME, CREATED_AT],
  'rbac.authorization.k8s.io/clusterroles': [NAME, CREATED_AT],
  'rbac.authorization.k8s.io/rolebindings': bindingColumns,
  'rbac.authorization.k8s.io/clusterrolebindings': bindingColumns,
}

function qualifiedOwner(owner: Json): string {
  const [group] = textAt(owner, 'apiVersion').split('/')
  const kind = textAt(owner, 'kind').toLowerCase()
  return textAt(owner, 'apiVersion').includes('/') ? `${kind}.${group}` : kind
}

const DEFAULT: readonly Column[] = [NAME, CREATED_AT]

export function columnsOf(type: ResourceType): readonly Column[] {
  const group = type.group === 'events.k8s.io' ? '' : type.group
  return COLUMNS[`${group}/${type.resource}`] ?? DEFAULT
}
