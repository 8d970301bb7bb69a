/** Who may talk HTTP to this member: etcd's --cors and --host-whitelist. */
import type { HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import { sendText } from './answer.ts'

export interface AccessOptions {
  /** Origins that browsers may call from; empty, or with `*` in it, means all. */
  readonly corsOrigins: readonly string[]
  /** Names that a plaintext request may be addressed to; empty, or with `*` in it, means all. */
  readonly hostWhitelist: readonly string[]
}

/** Whether the request goes on to its route; if not, it has been answered. */
export function admit(request: HttpRequest, response: HttpResponse, options: AccessOptions): boolean {
  // A page of a foreign site can be given this member's address under a name of its own, but no certificate for it.
  const host = hostname(request)
  if (!isSecure(request) && !isAllowed(options.hostWhitelist, host)) {
    sendText(response, 421, `${misdirected(host)}\n`)
    return false
  }
  const origin = request.headers.origin ?? ''
  if (isAllowed(options.corsOrigins, origin)) {
    const allowsAll = options.corsOrigins.length === 0 || options.corsOrigins.includes('*')
    response.setHeader('Access-Control-Allow-Methods', 'POST, GET, OPTIONS, PUT, DELETE')
    response.setHeader('Access-Control-Allow-Origin', allowsAll ? '*' : origin)
    response.setHeader('Access-Control-Allow-Headers', 'accept, content-type, authorization')
  }
  if (request.method !== 'OPTIONS') return true
  response.setHeader('Content-Length', 0)
  response.end()
  return false
}

function isAllowed(list: readonly string[], name: string): boolean {
  return list.length === 0 || list.includes('*') || list.includes(name)
}

/** Through HTTP/2 the socket is a proxy that has the fields and not the class. */
function isSecure(request: HttpRequest): boolean {
  return Reflect.get(request.socket, 'encrypted') === true
}

/** Without its port. */
function hostname(request: HttpRequest): string {
  const host = request.headers.host ?? headerOf(request, ':authority') ?? ''
  return /^(?:\[([^\]]*)\]|([^:]*)):[^:]*$/.exec(host)?.slice(1).find(Boolean) ?? host
}

function headerOf(request: HttpRequest, name: string): string | undefined {
  const value = request.headers[name]
  return Array.isArray(value) ? value[0] : value
}

function misdirected(host: string): string {
  return [
    '',
    'This member received your request, but does not know the name in its Host header.',
    '',
    'Either of these helps:',
    '- Enable TLS: any HTTPS request is allowed.',
    `- Add the name to the list of allowed ones: --host-whitelist ${JSON.stringify(host)}`,
    '',
    'Without it a foreign web site could reach this member through the browser of somebody who may (CVE-2018-5702).',
  ].join('\n')
}
