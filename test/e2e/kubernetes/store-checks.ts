/** The store below Kubernetes, looked at past the API server with etcdctl. */
import { z } from 'zod'
import type { BoxStore } from '../machine/box-store.ts'
import { attempt, run } from '../process.ts'
import type { Report } from '../report.ts'
import { waitFor } from '../wait.ts'

/** Position of the member that leads. */
export async function leaderOf(store: BoxStore): Promise<number> {
  return waitFor('a leader of the store', { timeoutMs: 20_000 }, async () => {
    const answer = await etcdctl(store, ['endpoint', 'status', '--write-out=fields'])
    const members = answer.split('"ClusterID" :').slice(1)
    const found = members.findIndex((text) => field(text, 'MemberID') === field(text, 'Leader'))
    if (found === -1) throw new Error(`no leader in ${answer}`)
    return store.clientUrls.indexOf(/"Endpoint" : "([^"]+)"/.exec(members[found] ?? '')?.[1] ?? '')
  })
}

/** Kubernetes asks for compactions: what was before the first write must be gone. */
export async function checkCompaction(report: Report, store: BoxStore, before: number): Promise<void> {
  const args = ['get', '/registry/', `--rev=${before}`]
  const gone = await waitFor('a compaction', { timeoutMs: 60_000, everyMs: 1000 }, async () => {
    const { code, stderr } = await attempt(['etcdctl', ...endpoints(store.clientUrls), ...args])
    if (code !== 0) return stderr
    throw new Error(`revision ${before} can still be read`)
  }).catch((error: unknown) => String(error))
  const isCompacted = gone.includes('mvcc: required revision has been compacted')
  report.check('compaction ran: a read at the first revision is refused as compacted', isCompacted ? [] : [gone])
}

const HashLine = z.string().regex(/^\S+, \d+/)

/** The same history gives the same hash, at one revision, on every member: the one that was killed as well. */
export async function checkMembersAgree(report: Report, store: BoxStore): Promise<void> {
  const revision = Math.min(...(await Promise.all(store.clientUrls.map(async (url) => Number(await revisionOf(url))))))
  const answers = await Promise.all(
    store.clientUrls.map(async (url) => {
      const args = [...endpoints([url]), 'endpoint', 'hashkv', `--rev=${revision}`]
      return HashLine.parse((await run(['etcdctl', ...args])).trim()).split(', ')[1]
    }),
  )
  const problems = new Set(answers).size === 1 ? [] : [`hashes at revision ${revision}: ${answers.join(', ')}`]
  report.check(`the store's members agree on every key at revision ${revision}`, problems)
}

async function revisionOf(url: string): Promise<string> {
  const answer = await run(['etcdctl', ...endpoints([url]), 'endpoint', 'status', '--write-out=fields'])
  return field(answer, 'Revision')
}

function field(text: string, name: string): string {
  return new RegExp(`"${name}" : "?(\\w+)`).exec(text)?.[1] ?? ''
}

function endpoints(urls: readonly string[]): string[] {
  return [`--endpoints=${urls.join(',')}`, '--dial-timeout=5s', '--command-timeout=20s']
}

async function etcdctl(store: BoxStore, args: readonly string[]): Promise<string> {
  return run(['etcdctl', ...endpoints(store.clientUrls), ...args])
}
