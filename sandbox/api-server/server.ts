/**
 * HTTP: a request is authenticated, authorized, read, handled and answered. What it may take is bounded; what goes wrong
 * becomes a Status. Neighbours: `dispatch.ts` (what to do), `render.ts` (in which form), `watch-response.ts`.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { stringify as toYaml } from 'yaml'
import { ANONYMOUS, type Authenticator } from './authentication.ts'
import { acceptsAggregated, aggregated, AGGREGATED, groupDocument, groupList, resourceList } from './discovery.ts'
import { dispatch, typeFor, verbOf, type Dispatcher } from './dispatch.ts'
import { sendLogs } from './kubelet-proxy.ts'
import type { JsonObject } from './object.ts'
import { openapiDocument, openapiIndex } from './openapi.ts'
import { formOf, includeObjectOf, render, type Rendering } from './render.ts'
import { parseResourcePath, type RequestInfo } from './request-info.ts'
import { qualified, StatusError, unauthorized } from './status-error.ts'
import type { Api, Call, User } from './rest/call.ts'
import { VERSION } from './version.ts'
import { serveWatch } from './watch-response.ts'
import type { WatchHub } from './watch.ts'

/** The real API server's bound is 3 MiB. */
const MAX_BODY_BYTES = 3 * 1024 * 1024

export interface Serving {
  readonly api: Api
  readonly hub: WatchHub
  readonly authenticator: Authenticator
  readonly dispatcher: Dispatcher
  /** Who a request without credentials comes from. */
  readonly anonymous: User
  /** Called with bugs of our own. */
  readonly onBug: (error: unknown) => void
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  readonly user: User
}

/** Answers every request, whatever happens. */
export async function serve(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const warnings: string[] = []
  try {
    const url = new URL(request.url ?? '/', 'http://sandbox')
    if (isHealth(url.pathname)) return sendText(response, 200, 'ok')
    const exchange: Exchange = { request, response, url, user: userOf(serving, request) }
    await route(serving, exchange, warnings)
  } catch (error) {
    sendError(serving, response, error, warnings)
  }
}

const isHealth = (path: string): boolean => /^\/(healthz|livez|readyz)(\/|$)/.test(path)

/** An administrator may act as somebody else (`kubectl --as`). */
function userOf({ authenticator, dispatcher, anonymous }: Serving, request: IncomingMessage): User {
  const header = request.headers.authorization ?? ''
  const token = /^Bearer\s+(\S+)$/i.exec(header)?.[1]
  if (header === '') return isFromBrowser(request) ? ANONYMOUS : anonymous
  const user = token === undefined ? undefined : authenticator.authenticate(token)
  if (user === undefined) throw unauthorized()
  const name = request.headers['impersonate-user']
  if (typeof name !== 'string') return user
  const mayImpersonate = {
    user,
    verb: 'impersonate',
    group: '',
    resource: 'users',
    subresource: '',
    namespace: '',
    name,
    path: undefined,
  }
  if (!dispatcher.authorize(mayImpersonate)) throw deny(mayImpersonate)
  const groups = request.headersDistinct['impersonate-group'] ?? []
  return { name, groups: [...groups, 'system:authenticated'] }
}

/** A page that a browser shows must not reach a server on loopback in its user's name, by whatever name it calls it. */
function isFromBrowser(request: IncomingMessage): boolean {
  const host = (request.headers.host ?? '').replace(/:\d+$/, '')
  const isNamedLocally = host === 'localhost' || /^[\d.]+$/.test(host) || host.startsWith('[')
  return request.headers.origin !== undefined || request.headers['sec-fetch-site'] !== undefined || !isNamedLocally
}

const NOT_FOUND = '404 page not found\n'

async function route(serving: Serving, exchange: Exchange, warnings: string[]): Promise<void> {
  const { request, response, url, user } = exchange
  const info = parseResourcePath(url.pathname)
  if (info === undefined || isDiscoveryPath(info)) {
    authorize(serving, { user, verb: verbOfPath(request.method ?? 'GET'), path: url.pathname })
    const document = documentAt(serving.api, url.pathname, request.headers.accept ?? '')
    if (document === undefined) return sendText(response, 404, NOT_FOUND)
    return sendJson(request, response, 200, document.object, document.contentType)
  }
  const isWatch = info.isWatchPath || url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1'
  const verb = verbOf(request.method ?? 'GET', info, isWatch)
  const type = typeFor(info, (group, version, resource) => serving.api.types.find(group, version, resource))
  authorize(serving, { user, verb, info })
  const call = await callOf(serving, exchange, info, type, warnings)
  if (type.custom?.deprecationWarning !== undefined) warnings.push(type.custom.deprecationWarning)
  const form = formOf(request.headers.accept ?? '')
  const rendering: Rendering = {
    form,
    type,
    nowMs: serving.api.nowMs(),
    includeObject: includeObjectOf(url.searchParams),
    hasColumns: true,
  }
  if (verb === 'watch') return serveWatch(call, serving.hub, rendering, response)
  if (type.resource === 'pods' && call.subresource === 'log' && verb === 'get') return sendLogs(call, response)
  const answer = dispatch(call, verb, serving.dispatcher)
  if (verb !== 'get' && verb !== 'list') await serving.api.store.durable()
  for (const warning of warnings) response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`)
  sendJson(request, response, answer.status, render(answer.object, rendering))
}

/** `/api/v1` and `/apis/apps/v1` name a version and no resource. */
function isDiscoveryPath(info: RequestInfo): boolean {
  return info.resource === ''
}

function verbOfPath(method: string): string {
  return method === 'GET' || method === 'HEAD' ? 'get' : method.toLowerCase()
}

interface Question {
  readonly user: User
  readonly verb: string
  readonly info?: RequestInfo
  readonly path?: string
}

function authorize({ dispatcher }: Serving, { user, verb, info, path }: Question): void {
  const attributes = {
    user,
    verb,
    group: info?.group ?? '',
    resource: info?.resource ?? '',
    subresource: info?.subresource ?? '',
    namespace: info?.resource === 'namespaces' ? info.name : (info?.namespace ?? ''),
    name: info?.name ?? '',
    path,
  }
  if (!dispatcher.authorize(attributes)) throw deny(attributes)
}

/** In the words that name exactly which permission is missing. */
function deny(attributes: Parameters<Dispatcher['authorize']>[0]): StatusError {
  const { user, verb, group, resource, subresource, namespace, name, path } = attributes
  const who = `User ${JSON.stringify(user.name)} cannot ${verb}`
  if (path !== undefined) return new StatusError(403, 'Forbidden', `forbidden: ${who} path ${JSON.stringify(path)}`, {})
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace ${JSON.stringify(namespace)}`
  const why = `${who} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}`
  const named = name === '' ? '' : ` ${JSON.stringify(name)}`
  return new StatusError(403, 'Forbidden', `${qualified({ group, resource })}${named} is forbidden: ${why}`, {
    name,
    group,
    kind: resource,
  })
}

async function callOf(
  { api }: Serving,
  { request, url, user }: Exchange,
  info: RequestInfo,
  type: Call['type'],
  warnings: string[],
): Promise<Call> {
  return {
    api,
    type,
    namespace: info.namespace,
    name: info.name,
    subresource: info.subresource,
    query: url.searchParams,
    user,
    method: request.method ?? 'GET',
    userAgent: request.headers['user-agent'] ?? '',
    contentType: request.headers['content-type'] ?? '',
    body: await readBody(request),
    warnings,
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of request) {
    if (!Buffer.isBuffer(part)) continue
    sizeBytes += part.length
    if (sizeBytes > MAX_BODY_BYTES) {
      throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY_BYTES}`, {})
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

interface Document {
  readonly object: JsonObject
  readonly contentType: string
}

/** What is no resource: discovery, OpenAPI, the version. */
function documentAt({ types }: Api, pathname: string, accept: string): Document | undefined {
  const path = pathname.replace(/\/$/, '')
  const json = (object: JsonObject | undefined): Document | undefined =>
    object === undefined ? undefined : { object, contentType: 'application/json' }
  if (path === '/version') return json(VERSION)
  if (path === '/api' || path === '/apis') {
    const isCore = path === '/api'
    if (acceptsAggregated(accept)) return { object: aggregated(types.all, isCore), contentType: AGGREGATED }
    return json(
      isCore ? { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] } : groupList(types.all),
    )
  }
  if (path === '') return json({ paths: ['/api', '/apis', '/healthz', '/livez', '/openapi/v3', '/readyz', '/version'] })
  if (path === '/openapi/v3') return json(openapiIndex(types.all, types.signature))
  if (path.startsWith('/openapi/v3/')) return json(openapiDocument(types.all, path.slice('/openapi/v3/'.length)))
  const [root, first = '', second] = path.slice(1).split('/')
  if (root === 'api') return json(resourceList(types.all, '', first))
  if (root === 'apis' && second === undefined) return json(groupDocument(types.all, first))
  if (root === 'apis') return json(resourceList(types.all, first, second ?? ''))
  return undefined
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' })
  response.end(text)
}

function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  object: JsonObject,
  contentType = 'application/json',
): void {
  const wantsYaml = (request.headers.accept ?? '').startsWith('application/yaml')
  response.writeHead(status, {
    'content-type': wantsYaml ? 'application/yaml' : contentType,
    'cache-control': 'no-cache, private',
  })
  response.end(wantsYaml ? toYaml(object) : `${JSON.stringify(object)}\n`)
}

function sendError({ onBug }: Serving, response: ServerResponse, error: unknown, warnings: readonly string[]): void {
  const known = error instanceof StatusError ? error : undefined
  if (known === undefined) onBug(error)
  const why = error instanceof Error ? error.message : String(error)
  const status =
    known ??
    new StatusError(500, 'InternalError', `Internal error occurred: ${why}`, { causes: [{ reason: '', message: why }] })
  if (response.headersSent) {
    response.destroy()
    return
  }
  for (const warning of warnings) response.appendHeader('warning', `299 - ${JSON.stringify(warning)}`)
  const retry = status.details?.retryAfterSeconds
  if (retry !== undefined) response.setHeader('retry-after', String(retry))
  response.writeHead(status.code, { 'content-type': 'application/json' })
  response.end(`${JSON.stringify(status.toStatus())}\n`)
}
