/**
 * /health, /livez and /readyz as etcd has them. /health is one JSON object; the other two run named checks, each of which
 * has a path of its own (`/readyz/linearizable_read`), and tell what failed, or with `?verbose` all that they asked.
 */
import type { HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import { NOBODY } from '../../../lib/ids.ts'
import type { NodePort } from '../../node/ports.ts'
import { statusOf } from '../etcd/errors.ts'
import { sendMethodNotAllowed, sendText } from './answer.ts'

export interface Alarm {
  readonly memberId: bigint
  readonly kind: 'NOSPACE' | 'CORRUPT'
}

/** Counts what was asked, for metrics. */
export interface HealthObserver {
  health(isHealthy: boolean): void
  check(type: CheckType, name: string, isOk: boolean): void
}

export interface HealthOptions {
  /** Raised anywhere in the cluster. */
  readonly alarms: () => readonly Alarm[]
  readonly observer: HealthObserver
}

export type HealthRoute = (query: URLSearchParams, request: HttpRequest, response: HttpResponse) => Promise<void>

type CheckType = 'livez' | 'readyz'

/** Undefined when all is well, else what is wrong. */
type Check = () => Promise<string | undefined>

/** By path. */
export function healthRoutes(node: NodePort, options: HealthOptions): ReadonlyMap<string, HealthRoute> {
  const reads = { serializable_read: async () => undefined, linearizable_read: () => linearizableRead(node) }
  const ready: Readonly<Record<string, Check>> = {
    data_corruption: async () => corruption(options),
    ...reads,
    non_learner: async () => (node.status().isLearner ? 'not supported for learner' : undefined),
  }
  return new Map([
    ['/health', getOnly(health(node, options))],
    ...checkRoutes('livez', { serializable_read: reads.serializable_read }, options.observer),
    ...checkRoutes('readyz', ready, options.observer),
  ])
}

function health(node: NodePort, { alarms, observer }: HealthOptions): HealthRoute {
  return async (query, _request, response) => {
    const reason = await unhealthyReason(node, alarms(), query)
    observer.health(reason === '')
    const body = JSON.stringify({ health: String(reason === ''), reason })
    if (reason !== '') return sendText(response, 503, `${body}\n`)
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.end(body)
  }
}

/** Empty when healthy. */
async function unhealthyReason(node: NodePort, alarms: readonly Alarm[], query: URLSearchParams): Promise<string> {
  const excluded = query.getAll('exclude')
  const raised = alarms.find(({ kind }) => !excluded.includes(kind))
  if (raised !== undefined) return `ALARM ${raised.kind}`
  // Then only this member is asked about: the local read of a running member cannot fail.
  if (query.get('serializable') === 'true') return ''
  if (node.status().leader === NOBODY) return 'RAFT NO LEADER'
  const problem = await linearizableRead(node)
  return problem === undefined ? '' : `RANGE ERROR:${problem}`
}

async function linearizableRead(node: NodePort): Promise<string | undefined> {
  const barrier = await node.linearizableBarrier()
  return barrier.ok ? undefined : statusOf(barrier.error).message
}

function corruption({ alarms }: HealthOptions): string | undefined {
  return alarms().some(({ kind }) => kind === 'CORRUPT') ? 'alarm activated: CORRUPT' : undefined
}

function checkRoutes(
  type: CheckType,
  checks: Readonly<Record<string, Check>>,
  observer: HealthObserver,
): [string, HealthRoute][] {
  const run = (names: readonly string[], query: URLSearchParams, response: HttpResponse): Promise<void> =>
    runChecks(type, checks, names, { query, response, observer })
  const all = Object.keys(checks)
  return [
    [
      `/${type}`,
      getOnly((query, _request, response) => {
        const excluded = query.getAll('exclude')
        return run(
          all.filter((name) => !excluded.includes(name)),
          query,
          response,
        )
      }),
    ],
    ...all.map((name): [string, HealthRoute] => [
      `/${type}/${name}`,
      getOnly((query, _request, response) => run([name], query, response)),
    ]),
  ]
}

interface Asked {
  readonly query: URLSearchParams
  readonly response: HttpResponse
  readonly observer: HealthObserver
}

async function runChecks(
  type: CheckType,
  checks: Readonly<Record<string, Check>>,
  names: readonly string[],
  { query, response, observer }: Asked,
): Promise<void> {
  const lines: string[] = []
  let isOk = true
  for (const name of names) {
    const problem = await checks[name]?.()
    observer.check(type, name, problem === undefined)
    lines.push(problem === undefined ? `[+]${name} ok\n` : `[-]${name} failed: ${problem}\n`)
    if (problem !== undefined) isOk = false
  }
  // The blank line is that of Go's error answers, which end in a line feed of their own.
  if (!isOk) sendText(response, 503, `${lines.join('')}\n`)
  else sendText(response, 200, `${query.has('verbose') ? lines.join('') : ''}ok\n`)
}

function getOnly(route: HealthRoute): HealthRoute {
  return async (query, request, response) => {
    if (request.method === 'GET') await route(query, request, response)
    else sendMethodNotAllowed(response, 'GET')
  }
}
