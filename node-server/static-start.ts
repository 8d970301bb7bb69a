/** The start that etcd's flags describe: a cluster whose first members are all named, or one member more of a cluster that is there. */
import { deriveClusterId, deriveMemberId } from './config/member-ids.ts'
import type { Config } from './config/config.ts'
import { ClusterId, MemberId, parseId } from '../lib/ids.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Member } from './mvcc/command.ts'
import type { StartPlan } from './node/lifecycle/open.ts'
import { decodePeerAnswer, encodeJson } from './node/peer-requests.ts'
import type { PeerDialer } from './transport/connection.ts'
import { query } from './transport/query.ts'

type Self = Pick<Config, 'name' | 'initialAdvertisePeerURLs'>
type StaticStart = Exclude<Config['start'], { kind: 'wait' }>

const QUERY_TIMEOUT_MS = 3000

/** `dialer`: for the members there are. */
export function planStart(config: Self, start: StaticStart, dialer?: PeerDialer): Promise<Result<StartPlan, string>> {
  return start.kind === 'new' ? Promise.resolve(planNew(config, start)) : planExisting(config, start, dialer)
}

/** Every first member derives the same IDs from the same flags (etcd's rule). */
export function planNew(
  config: Pick<Config, 'name'>,
  start: Pick<StaticStart, 'members' | 'token'>,
): Result<StartPlan, string> {
  const members = start.members.map((member): Member => {
    const id = deriveMemberId(member.peerURLs, start.token)
    return { id, name: member.name, peerURLs: member.peerURLs, clientURLs: [], isLearner: false }
  })
  const own = members.find((member) => member.name === config.name)
  if (own === undefined) return err(`--initial-cluster does not name ${config.name}`)
  const clusterId = deriveClusterId(members.map(({ id }) => id))
  return ok({ kind: 'bootstrap', clusterId, memberId: own.id, name: config.name, members, operationId: '' })
}

/** The cluster was told of this member (member add); its members know under which ID. */
async function planExisting(
  config: Self,
  start: StaticStart,
  dialer: PeerDialer | undefined,
): Promise<Result<StartPlan, string>> {
  const own = new Set(config.initialAdvertisePeerURLs)
  const urls = start.members.flatMap(({ peerURLs }) => peerURLs).filter((url) => !own.has(url))
  const failures: string[] = []
  let stranger: string | undefined
  for (const url of urls) {
    const answer = await query(url, encodeJson({ kind: 'members' }), QUERY_TIMEOUT_MS, dialer)
    const decoded = answer.ok ? decodePeerAnswer(answer.value) : undefined
    if (decoded?.kind !== 'members') {
      failures.push(`${url}: ${answer.ok ? 'no member of this program' : answer.error}`)
      continue
    }
    const { clusterId } = decoded.answer
    const members = decoded.answer.members.map((member) => ({ ...member, id: MemberId(parseId(member.id) ?? 0n) }))
    const self = members.find((member) => member.peerURLs.some((peerURL) => own.has(peerURL)))
    if (self === undefined) {
      // It may be behind, or joining itself: another one may know better.
      stranger ??= `the cluster at ${url} has no member with the peer URLs ${[...own].join(', ')}: add it first (etcdctl member add ${config.name} --peer-urls=${[...own].join(',')})`
      continue
    }
    return ok({
      kind: 'join',
      clusterId: ClusterId(parseId(clusterId) ?? 0n),
      memberId: self.id,
      name: config.name,
      members,
      operationId: '',
    })
  }
  if (stranger !== undefined) return err(stranger)
  return err(`no member of --initial-cluster answers, so there is no cluster to join: ${failures.join('; ')}`)
}
