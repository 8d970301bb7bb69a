/** Requests to the API server: which verb on which kind they are, and what it answers. */
import { type Call } from '../../operator/kube/transport.ts'
import { collectionPath, isKind, type Kind } from '../../operator/kube/object.ts'
import { type Answer, NAMESPACE, type NewObject, parseSelector } from './api-server.ts'
import { at, isJson, textAt } from './json.ts'
import type { OperatorProcess } from './operator-process.ts'
import type { World } from './world.ts'

export interface Path {
  readonly kind: Kind
  /** Empty for a collection. */
  readonly name: string
  readonly subresource: string
}

export interface HttpAnswer {
  readonly status: number
  readonly body: unknown
}

const KINDS = [
  'RaftCluster',
  'StatefulSet',
  'Job',
  'Pod',
  'PersistentVolumeClaim',
  'Service',
  'ServiceAccount',
  'Secret',
  'ConfigMap',
  'PodDisruptionBudget',
  'NetworkPolicy',
  'Lease',
  'Event',
]

const COLLECTIONS: ReadonlyMap<string, Kind> = new Map(
  KINDS.filter((kind) => isKind(kind)).flatMap((kind) => [
    [collectionPath(kind, undefined), kind],
    [collectionPath(kind, NAMESPACE), kind],
  ]),
)
const known = new Map<string, Path>()

export function parsePath(path: string): Path {
  const before = known.get(path)
  if (before !== undefined) return before
  const parsed = parse(path)
  if (parsed === undefined) throw new Error(`no such path: ${path}`)
  known.set(path, parsed)
  return parsed
}

function parse(path: string): Path | undefined {
  const parts = path.split('/')
  for (let count = 0; count <= 2; count++) {
    const kind = COLLECTIONS.get(parts.slice(0, parts.length - count).join('/'))
    const [name = '', subresource = ''] = parts.slice(parts.length - count)
    if (kind !== undefined) return { kind, name, subresource }
  }
  return undefined
}

/** Acts on a request that has arrived. The oracle has seen it before. */
export function serve(world: World, process: OperatorProcess, call: Call, path: Path): HttpAnswer {
  const { server, oracle } = world
  const { kind, name, subresource } = path
  if (call.method === 'GET') {
    if (name === '') return list(world, kind, call)
    // Version 0 allows any answer that a cache of the API server still holds.
    const object = call.query?.['resourceVersion'] === '0' ? server.cached(kind, name) : server.get(kind, name)
    if (kind === 'RaftCluster') oracle.clusterRead(process.identity, object)
    return object === undefined ? { status: 404, body: {} } : { status: 200, body: object }
  }
  const body = isJson(call.body) ? call.body : {}
  if (call.query?.['dryRun'] === 'All')
    return { status: 201, body: { ...body, metadata: { ...at(body, 'metadata'), uid: 'none', resourceVersion: '0' } } }
  oracle.mutation(process.identity, {
    method: call.method,
    kind,
    name: name || textAt(body, 'metadata', 'name'),
    subresource,
    body,
  })
  const answer = httpAnswer(act(world, call, path, body))
  if (kind !== 'Lease') {
    const what = `${call.method} ${kind} ${name || textAt(body, 'metadata', 'name')} ${subresource}`
    world.log.add(process.name, `${what} → ${answer.status} ${world.oracle.describe(kind, subresource, body)}`)
  }
  return answer
}

function list({ server }: World, kind: Kind, call: Call): HttpAnswer {
  const items = server.list(kind, parseSelector(call.query?.['labelSelector']))
  return { status: 200, body: { metadata: { resourceVersion: String(server.version) }, items } }
}

function act({ server }: World, call: Call, { kind, name, subresource }: Path, body: object): Answer {
  const metadata: unknown = Reflect.get(body, 'metadata')
  const object: NewObject = {
    ...body,
    apiVersion: textAt(body, 'apiVersion'),
    kind,
    metadata: { ...(isJson(metadata) ? metadata : {}), name: name === '' ? textAt(body, 'metadata', 'name') : name },
  }
  switch (call.method) {
    case 'POST':
      return server.create(object)
    case 'PUT':
      return server.replace(object)
    case 'DELETE':
      return server.delete(kind, name, textAt(body, 'preconditions', 'uid') || undefined)
    case 'PATCH':
      if (call.contentType !== 'application/apply-patch+yaml') return server.merge(object)
      return subresource === 'status'
        ? server.applyStatus(object)
        : server.apply(object, call.query?.['fieldManager'] ?? '')
    case 'GET':
      throw new Error('a read changes nothing')
    default:
      throw new Error(`unknown method ${String(call.method)}`)
  }
}

function httpAnswer(answer: Answer): HttpAnswer {
  if (answer.ok) return { status: 200, body: answer.object }
  const { status, reason, message } = answer
  return { status, body: { reason, message } }
}
