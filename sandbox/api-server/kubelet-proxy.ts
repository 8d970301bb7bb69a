/** Logs of a container are the kubelet's: they are passed on as they come. Source: Kubernetes docs, kubectl logs. */
import { request, type IncomingMessage, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { listAt, numberAt, textAt } from './object.ts'
import type { Call } from './rest/call.ts'
import { readExisting } from './rest/write.ts'
import { badRequest, StatusError } from './status-error.ts'

const KUBELET_PORT = 10_250
const CONNECT_TIMEOUT_MS = 10_000
const PASSED_ON = ['follow', 'previous', 'timestamps', 'tailLines', 'sinceSeconds', 'sinceTime', 'limitBytes']

export async function sendLogs(call: Call, response: ServerResponse): Promise<void> {
  const { path, host, port } = logAddress(call)
  const upstream = request({ host, port, path, method: 'GET', timeout: CONNECT_TIMEOUT_MS })
  response.on('close', () => upstream.destroy())
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    upstream.once('response', resolve)
    upstream.once('error', reject)
  })
  upstream.end()
  const answer = await answered.catch((error: unknown) => {
    const why = error instanceof Error ? error.message : String(error)
    throw new StatusError(500, 'InternalError', `Get "http://${host}:${port}${path}": ${why}`, {})
  })
  upstream.setTimeout(0)
  response.writeHead(answer.statusCode ?? 502, { 'content-type': 'text/plain' })
  await pipeline(answer, response).catch(() => {}) // either side may leave at any time
}

interface LogAddress {
  readonly host: string
  readonly port: number
  readonly path: string
}

function logAddress(call: Call): LogAddress {
  const pod = readExisting(call)
  const containers = listAt(pod, 'spec', 'containers').map((each) => textAt(each, 'name'))
  const all = [...containers, ...listAt(pod, 'spec', 'initContainers').map((each) => textAt(each, 'name'))]
  const wanted = call.query.get('container') ?? ''
  const container = wanted === '' && containers.length === 1 ? (containers[0] ?? '') : wanted
  if (container === '') {
    throw badRequest(`a container name must be specified for pod ${call.name}, choose one of: [${all.join(' ')}]`)
  }
  if (!all.includes(container)) throw badRequest(`container ${container} is not valid for pod ${call.name}`)
  const node = call.api.store.get(`/registry/nodes/${textAt(pod, 'spec', 'nodeName')}`)
  if (node === undefined) throw badRequest(`pod ${call.name} does not have a host assigned`)
  const address = listAt(node, 'status', 'addresses').find((each) => textAt(each, 'type') === 'InternalIP')
  const query = new URLSearchParams()
  for (const name of PASSED_ON) {
    const value = call.query.get(name)
    if (value !== null) query.set(name, value)
  }
  const path = `/containerLogs/${call.namespace}/${call.name}/${container}?${query.toString()}`
  const port = numberAt(node, 'status', 'daemonEndpoints', 'kubeletEndpoint', 'Port') ?? KUBELET_PORT
  return { host: textAt(address, 'address') || '127.0.0.1', port, path }
}
