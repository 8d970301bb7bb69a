/** Services, their addresses and ports, and what is behind them. Source: Kubernetes docs, Service; API reference. */
import { at, isObject, listAt, objectAt, textAt, type JsonObject, type KubeObject } from '../../object.ts'
import type { Api } from '../../rest/call.ts'
import { endOfPrefix } from '../../storage.ts'
import { invalidValue, required, StatusError, type FieldProblem } from '../../status-error.ts'
import { storagePrefix } from '../resource-type.ts'
import type { Strategy } from '../strategy.ts'
import { fill } from './pod-spec.ts'

const HEADLESS = 'None'
const FIRST_NODE_PORT = 30_000
const LAST_NODE_PORT = 32_767
/** Addresses 1 to 254 of 256 networks. */
const ADDRESSES = 256 * 254

function specOf(object: KubeObject): JsonObject {
  const spec = object['spec']
  if (isObject(spec)) return spec
  const made: JsonObject = {}
  object['spec'] = made
  return made
}

const service: Strategy = {
  returnsDeleted: true,
  setDefaults: (object) => {
    const spec = specOf(object)
    fill(spec, { sessionAffinity: 'None', type: 'ClusterIP' })
    for (const port of listAt(spec, 'ports').filter(isObject)) {
      fill(port, { protocol: 'TCP' })
      fill(port, { targetPort: port['port'] ?? 0 })
    }
    if (spec['type'] !== 'ExternalName') fill(spec, { internalTrafficPolicy: 'Cluster' })
    if (needsNodePort(spec)) fill(spec, { externalTrafficPolicy: 'Cluster' })
    if (spec['type'] === 'LoadBalancer') fill(spec, { allocateLoadBalancerNodePorts: true })
  },
  prepareCreate: (object, api) => {
    const spec = specOf(object)
    object['status'] = { loadBalancer: {} }
    if (spec['type'] === 'ExternalName') return
    allocate(spec, api)
  },
  prepareUpdate: (object, existing, api) => {
    const spec = specOf(object)
    if (spec['type'] === 'ExternalName') return
    for (const name of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy']) {
      const value = at(existing, 'spec', name)
      if (value !== undefined) fill(spec, { [name]: value })
    }
    keepNodePorts(spec, existing)
    allocate(spec, api)
  },
  validate: validateService,
}

function needsNodePort(spec: JsonObject): boolean {
  return spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer'
}

function allServices(api: Api): readonly KubeObject[] {
  const prefix = storagePrefix({ group: '', resource: 'services' })
  return api.store.list(prefix, endOfPrefix(prefix), api.store.revision).map(({ object }) => object)
}

function allocate(spec: JsonObject, api: Api): void {
  if (textAt(spec, 'clusterIP') === '') spec['clusterIP'] = freeAddress(api)
  const addresses = { clusterIPs: [spec['clusterIP'] ?? ''] }
  // Nobody knows what stands behind a name without a selector.
  const isOpen = spec['clusterIP'] === 'None' && spec['selector'] === undefined
  if (isOpen) fill(spec, { ...addresses, ipFamilies: ['IPv4', 'IPv6'], ipFamilyPolicy: 'RequireDualStack' })
  else fill(spec, { ...addresses, ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack' })
  if (!needsNodePort(spec)) return
  const taken = new Set(
    allServices(api).flatMap((other) => listAt(other, 'spec', 'ports').map((port) => at(port, 'nodePort'))),
  )
  for (const port of listAt(spec, 'ports').filter(isObject)) {
    if (port['nodePort'] !== undefined && port['nodePort'] !== 0) continue
    for (let free = FIRST_NODE_PORT; free <= LAST_NODE_PORT; free++) {
      if (taken.has(free)) continue
      port['nodePort'] = free
      taken.add(free)
      break
    }
  }
}

function freeAddress(api: Api): string {
  const services = allServices(api)
  const taken = new Set(services.map((other) => textAt(other, 'spec', 'clusterIP')))
  for (let tried = 0; tried < ADDRESSES; tried++) {
    const number = (services.length + tried) % ADDRESSES
    const address = `${api.settings.clusterIpPrefix}.${Math.floor(number / 254)}.${(number % 254) + 1}`
    if (!taken.has(address)) return address
  }
  throw new StatusError(500, 'InternalError', 'Internal error occurred: failed to allocate a serviceIP: range is full')
}

function keepNodePorts(spec: JsonObject, existing: KubeObject): void {
  if (!needsNodePort(spec)) return
  const before = new Map(listAt(existing, 'spec', 'ports').map((port) => [at(port, 'port'), at(port, 'nodePort')]))
  for (const port of listAt(spec, 'ports').filter(isObject)) {
    const kept = before.get(port['port'])
    if (kept !== undefined) fill(port, { nodePort: kept })
  }
}

function validateService(object: KubeObject, existing: KubeObject | undefined): readonly FieldProblem[] {
  const spec = objectAt(object, 'spec')
  const problems: FieldProblem[] = []
  const isHeadless = textAt(spec, 'clusterIP') === HEADLESS
  const ports = listAt(spec, 'ports')
  if (ports.length === 0 && !isHeadless && spec['type'] !== 'ExternalName') problems.push(required('spec.ports'))
  ports.forEach((port, index) => {
    if (ports.length > 1 && textAt(port, 'name') === '') problems.push(required(`spec.ports[${index}].name`))
    const number = at(port, 'port')
    if (typeof number !== 'number' || number < 1 || number > 65_535) {
      problems.push(invalidValue(`spec.ports[${index}].port`, number ?? 0, 'must be between 1 and 65535, inclusive'))
    }
  })
  const before = textAt(existing, 'spec', 'clusterIP')
  if (before !== '' && spec['type'] !== 'ExternalName' && textAt(spec, 'clusterIP') !== before) {
    problems.push(invalidValue('spec.clusterIPs[0]', [textAt(spec, 'clusterIP')], 'may not change once set'))
  }
  return problems
}

function defaultPorts(ports: readonly unknown[]): void {
  for (const port of ports.filter(isObject)) fill(port, { protocol: 'TCP' })
}

const endpoints: Strategy = {
  setDefaults: (object) => {
    for (const subset of listAt(object, 'subsets')) defaultPorts(listAt(subset, 'ports'))
  },
}

const endpointSlice: Strategy = {
  hasGeneration: true,
  setDefaults: (object) => {
    for (const port of listAt(object, 'ports').filter(isObject)) fill(port, { name: '', protocol: 'TCP' })
    fill(object, { endpoints: [] })
  },
}

export const serviceStrategies: Readonly<Record<string, Strategy>> = {
  '/services': service,
  '/endpoints': endpoints,
  'discovery.k8s.io/endpointslices': endpointSlice,
}
