/** Calls of methods that nobody serves: refused in the words of grpc-go, which clients of etcd know. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { STATUS_CODE } from './status-code.ts'
import type { ServiceTable } from './service.ts'

/** Says what is missing; undefined when the path is served. */
export function unknownMethod(services: ServiceTable, path: string): string | undefined {
  if (Object.hasOwn(services, path)) return undefined
  const name = path.startsWith('/') ? path.slice(1) : path
  const slash = name.lastIndexOf('/')
  if (slash === -1) return `malformed method name: ${JSON.stringify(path)}`
  const service = name.slice(0, slash)
  const isService = Object.keys(services).some((known) => known.startsWith(`/${service}/`))
  return isService ? `unknown method ${name.slice(slash + 1)} for service ${service}` : `unknown service ${service}`
}

/** True when the call was for no method of `services` and has got its answer. */
export function refuseUnknown(
  services: ServiceTable,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): boolean {
  const text = unknownMethod(services, headers[':path'] ?? '')
  if (text === undefined) return false
  stream.on('error', () => undefined) // the client is gone: there is nobody to tell
  const trailersOnly = {
    ':status': 200,
    'content-type': 'application/grpc',
    'grpc-status': STATUS_CODE.Unimplemented,
    'grpc-message': encodeURI(text),
  }
  if (!stream.destroyed) stream.respond(trailersOnly, { endStream: true })
  stream.resume() // a request that is still on its way must not hold up the connection
  return true
}
