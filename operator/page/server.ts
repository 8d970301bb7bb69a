/**
 * The operator's page: every RaftCluster as the operator sees it. Read-only, and on loopback alone (config.ts): whoever may
 * forward a port to the operator's pod may look. Against a page elsewhere that has its own name resolve to this machine, requests
 * must be made to an address or to localhost.
 *
 *   /                      static/index.html, which asks for the rest
 *   /clusters.json         all clusters
 *   /events                the same, then what changes (server-sent events); 503 when there are too many viewers
 *   /history/NS/NAME.json  what the graphs of a cluster are drawn from
 */
import { isIP } from 'node:net'
import { join } from 'node:path'
import express, { type Express, type Request } from 'express'
import type { Clock } from '../../lib/clock.ts'
import type { Board } from './board.ts'
import { Viewers } from './viewers.ts'

const STATIC = join(import.meta.dirname, 'static')
/** Scripts, styles and pictures are this page's own; it is shown in no other page's frame. */
const HEADERS = {
  'content-security-policy': "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
}
/** Of a viewer for whom there is no room; the page asks as often. */
const RETRY_AFTER_S = 10

export interface Served {
  readonly board: Board
  readonly clock: Clock
  readonly version: string
  /** Of the copy that works, where that is another one; undefined: this one. Empty: nobody is known to. */
  readonly worksElsewhere: () => string | undefined
}

export function pageApp({ board, clock, version, worksElsewhere }: Served): Express {
  const frame = (): object => {
    const elsewhere = worksElsewhere()
    return { nowMs: clock.wallMs(), version, ...(elsewhere !== undefined && { elsewhere }) }
  }
  let toldElsewhere: string | undefined
  const viewers = new Viewers(
    {
      everything: () => ({ ...frame(), clusters: board.all() }),
      changes: () => {
        const { clusters, gone } = board.changes()
        const elsewhere = worksElsewhere()
        if (clusters.length === 0 && gone.length === 0 && elsewhere === toldElsewhere) return undefined
        toldElsewhere = elsewhere
        return { ...frame(), clusters, gone }
      },
    },
    clock,
  )
  const app = express()
  app.disable('x-powered-by')
  app.use((request, response, next) => {
    response.set(HEADERS)
    if (!isLocalName(request)) response.status(421).type('text/plain').send('use an address or localhost as the host\n')
    else if (request.method === 'GET') next()
    else response.status(405).set('allow', 'GET').type('text/plain').send('this page is read-only\n')
  })
  app.get('/clusters.json', (_, response) => void response.json({ ...frame(), clusters: board.all() }))
  app.get('/history/:namespace/:name.json', ({ params: { namespace, name } }, response) => {
    const history = board.history(`${namespace}/${name}`)
    if (history === undefined) response.sendStatus(404)
    else response.json(history)
  })
  app.get('/events', (_, response) => {
    response.type('text/event-stream')
    if (viewers.isFull) response.status(503).set('retry-after', String(RETRY_AFTER_S)).end()
    else {
      response.flushHeaders()
      viewers.add(response)
    }
  })
  app.use(express.static(STATIC, { cacheControl: false, dotfiles: 'ignore' }))
  return app
}

function isLocalName({ headers }: Request): boolean {
  const [, name = ''] = /^\[?(.*?)\]?(?::\d+)?$/.exec(headers.host ?? '') ?? []
  return name === 'localhost' || isIP(name) !== 0
}
