/** /debug/vars: what a Go program publishes of itself, with etcd's names, as far as there is the like here. */
import type { HttpRequest, HttpResponse } from '../../../lib/http-exchange.ts'
import { formatId } from '../../../lib/ids.ts'
import type { NodePort } from '../../node/ports.ts'
import { sendJson, sendMethodNotAllowed } from './answer.ts'

export function sendVars(node: NodePort, request: HttpRequest, response: HttpResponse): void {
  if (request.method !== 'GET') return sendMethodNotAllowed(response, 'GET')
  const { rss, heapTotal, heapUsed } = process.memoryUsage()
  const { term, commitIndex, appliedIndex, leader } = node.status()
  const vars = {
    cmdline: process.argv,
    memstats: { Sys: rss, Alloc: heapUsed, HeapAlloc: heapUsed, HeapSys: heapTotal },
    'raft.status': {
      id: formatId(node.memberId),
      term,
      commit: commitIndex,
      lead: formatId(leader),
      applied: appliedIndex,
    },
  }
  sendJson(response, 200, JSON.stringify(vars))
}
