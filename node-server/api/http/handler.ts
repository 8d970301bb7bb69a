/**
 * What the client port answers to requests that are not gRPC: the JSON gateway, /version, /health, /livez, /readyz,
 * /metrics and /debug/vars, as etcd 3.7 does.
 *
 * Bare node:http rather than express: there is a dozen fixed paths, and bodies are read as they arrive, which a framework
 * would only stand in the way of. The admin app has its own port and its own contract.
 */
import { posix } from 'node:path'
import type { HttpHandler, HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import type { ServiceTable } from '../../grpc/service.ts'
import type { NodePort } from '../../node/ports.ts'
import { ETCD_API_VERSION, ETCD_CLUSTER_VERSION, VERSION } from '../../version.ts'
import { admit, type AccessOptions } from './access.ts'
import { sendJson, sendMethodNotAllowed, sendText } from './answer.ts'
import type { Gateway, GatewayOptions } from './gateway.ts'
import { healthRoutes, type HealthOptions, type HealthRoute } from './health.ts'
import { sendVars } from './vars.ts'

export interface HttpOptions extends AccessOptions, GatewayOptions {
  /** etcd's --enable-grpc-gateway. */
  readonly isGatewayEnabled: boolean
  readonly health: HealthOptions
  readonly metrics: { readonly contentType: string; text(): Promise<string> }
  readonly log: { error(fields: object, message: string): void }
}

export function httpHandler(node: NodePort, services: ServiceTable, options: HttpOptions): HttpHandler {
  const routes = new Map<string, HealthRoute>([
    ...healthRoutes(node, options.health),
    ['/version', async (_query, request, response) => sendVersion(request, response)],
    ['/debug/vars', async (_query, request, response) => sendVars(node, request, response)],
    ['/metrics', async (_query, _request, response) => sendMetrics(response, options)],
  ])
  const api = options.isGatewayEnabled ? gatewayWhenAsked(services, options) : undefined
  return (request, response) => {
    if (!admit(request, response, options)) return
    serve(request, response, routes, api).catch((error: unknown) => {
      options.log.error({ err: error, path: request.url }, 'an HTTP request failed')
      if (response.headersSent) response.destroy()
      else sendText(response, 500, 'Internal Server Error\n')
    })
  }
}

/** The descriptors of all messages are large: they are loaded for the first who asks, and most members are never asked. */
function gatewayWhenAsked(services: ServiceTable, options: GatewayOptions): Gateway {
  let loading: Promise<Gateway> | undefined
  return async (path, exchange) => {
    loading ??= import('./gateway.ts').then(({ gateway }) => gateway(services, options))
    return (await loading)(path, exchange)
  }
}

async function serve(
  request: HttpRequest,
  response: HttpResponse,
  routes: ReadonlyMap<string, HealthRoute>,
  api: Gateway | undefined,
): Promise<void> {
  const [given, query] = split(request.url ?? '/')
  const path = given.replace(/^\/v3beta\//, '/v3/')
  const clean = cleanPath(path, api !== undefined)
  if (clean !== path) return redirect(request, response, query === '' ? clean : `${clean}?${query}`)
  if (api !== undefined && path.startsWith('/v3/')) return api(path, { request, response })
  const route = routes.get(path)
  if (route === undefined) return sendText(response, 404, '404 page not found\n')
  return route(new URLSearchParams(query), request, response)
}

function split(url: string): [path: string, query: string] {
  const at = url.indexOf('?')
  return at < 0 ? [url, ''] : [url.slice(0, at), url.slice(at + 1)]
}

/** Go's router sends clients on to the path without double slashes and dots; some build their URLs so that they need it. */
function cleanPath(path: string, hasGateway: boolean): string {
  if (hasGateway && path === '/v3') return '/v3/'
  return path.startsWith('/') ? posix.normalize(path) : path
}

function redirect(request: HttpRequest, response: HttpResponse, location: string): void {
  response.statusCode = 307
  response.setHeader('Location', location)
  if (request.method !== 'GET') return void response.setHeader('Content-Length', 0).end()
  response.setHeader('Content-Type', 'text/html; charset=utf-8')
  response.end(`<a href="${escapeHtml(location)}">Temporary Redirect</a>.\n\n`)
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&#34;')
    .replaceAll("'", '&#39;')
}

/** etcd's three, and what runs here in truth. */
function sendVersion(request: HttpRequest, response: HttpResponse): void {
  if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET')
  const versions = {
    etcdserver: ETCD_API_VERSION,
    etcdcluster: ETCD_CLUSTER_VERSION,
    storage: ETCD_CLUSTER_VERSION,
    raftkv: VERSION,
  }
  sendJson(response, 200, JSON.stringify(versions))
}

async function sendMetrics(response: HttpResponse, { metrics }: HttpOptions): Promise<void> {
  const text = await metrics.text()
  response.setHeader('Content-Type', metrics.contentType)
  response.end(text)
}
