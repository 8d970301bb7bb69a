/** The way from one operator process to the members' admin API, guarded as operator/admin-client.ts is. */
import type { AdminChange, AdminError, AdminStatus, AdminUpkeep, LeaderTransferResult } from '../../lib/admin-api.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { MutationPermit } from '../../operator/controller/leader-election.ts'
import type { AdminClient, AdminFailure } from '../../operator/cluster/ports.ts'
import { textAt } from './json.ts'
import type { MemberProcess } from './member-process.ts'
import type { OperatorProcess } from './operator-process.ts'
import { addByHand } from './strikes.ts'
import type { World } from './world.ts'

const UNREACHABLE = { kind: 'unreachable', message: 'connection refused' } as const
const STATUS_TIMEOUT_MS = 1500
const MUTATION_TIMEOUT_MS = 10_000
/** A change that somebody else has asked for is made by then, unless it is slow. */
const MADE_BY_HAND_MS = 5

export function memberClient(world: World, process: OperatorProcess, permit: () => MutationPermit): AdminClient {
  const mutate = <Value>(
    url: string,
    token: string,
    what: string,
    request: object,
    act: (member: MemberProcess, answer: (result: Result<Value, AdminError>) => void) => void,
  ): Promise<Result<Value, AdminFailure>> => {
    const allowed = permit()
    if (!allowed.isAllowed) {
      return Promise.resolve(err({ kind: 'unreachable', message: allowed.reason }))
    }
    return mutation(world, process, {
      url,
      token,
      what,
      request,
      withinMs: Math.min(MUTATION_TIMEOUT_MS, allowed.withinMs),
      act,
    })
  }

  const client: AdminClient = {
    status: (url) => status(world, process, url),
    bootstrap: (url, token, request) =>
      mutate<AdminChange>(url, token, 'bootstrap', request, (member, answer) =>
        answer(world.raft.bootstrap(request.operationId, request.clusterId, request.member, member.disk)),
      ),
    join: (url, token, request) =>
      mutate<AdminChange>(url, token, 'join', request, (member, answer) => {
        const learners = request.members.filter(({ isLearner }) => isLearner).map(({ id }) => id)
        const voters = request.members.filter(({ isLearner }) => !isLearner).map(({ id }) => id)
        const known = { index: request.expectedConfigIndex, voters, learners, members: request.members }
        answer(world.raft.join(request.operationId, request.clusterId, request.memberId, known, member.disk))
      }),
    membership: (url, token, request) =>
      mutate<AdminChange>(url, token, request.kind, request, (member, answer) =>
        world.raft.change(member, request, answer),
      ),
    recover: (url, token, request) =>
      mutate<AdminChange>(url, token, 'recover', request, (member, answer) =>
        answer(world.raft.recover(request, member)),
      ),
    transferLeader: (url, token, request) =>
      mutate<LeaderTransferResult>(url, token, 'transfer', request, (member, answer) => {
        const { operationId, expectedConfigIndex, memberId } = request
        const moved = world.raft.transfer(member, operationId, expectedConfigIndex, memberId)
        answer(moved.ok ? ok({ operationId, ...moved.value }) : moved)
      }),
    keepUp: (url, token, request) =>
      mutate<AdminUpkeep>(url, token, request.kind, request, (member, answer) =>
        answer(world.raft.keepUp(member, request)),
      ),
    secured: () => client,
  }
  return client
}

function status(world: World, process: OperatorProcess, url: string): Promise<Result<AdminStatus, AdminFailure>> {
  const { faults, random, coverage } = world
  return new Promise((resolve) => {
    if (process.isDead) return
    const isLost = random.chance(faults.memberRequestLost)
    if (isLost) coverage.note('request to a member lost')
    const isSlow = random.chance(faults.memberSlow)
    if (isSlow) coverage.note('slow member')
    const delayMs = isSlow ? random.below(1200) : 1
    world.schedule.after(delayMs, () => {
      const member = memberAt(world, url)
      if (member?.isUnreachable === true || isLost)
        return process.after(STATUS_TIMEOUT_MS - delayMs, () => resolve(err(UNREACHABLE)))
      if (member === undefined || !member.isUp) return process.enter(() => resolve(err(UNREACHABLE)))
      const answer = world.raft.status(member)
      process.enter(() => {
        world.oracle.statusRead(process.identity, answer)
        resolve(ok(answer))
      })
    })
  })
}

interface Mutation<Value> {
  readonly url: string
  readonly token: string
  readonly what: string
  readonly request: object
  readonly withinMs: number
  readonly act: (member: MemberProcess, answer: (result: Result<Value, AdminError>) => void) => void
}

function mutation<Value>(
  world: World,
  process: OperatorProcess,
  call: Mutation<Value>,
): Promise<Result<Value, AdminFailure>> {
  const { faults, random, coverage } = world
  process.beforeCall()
  return new Promise((resolve) => {
    if (process.isDead) return
    const isLost = random.chance(faults.memberRequestLost)
    const isAnswerLost = !isLost && random.chance(faults.memberAnswerLost)
    if (isLost) coverage.note('request to a member lost')
    if (isAnswerLost) coverage.note('answer of a member lost after it acted')
    const isSlow = random.chance(faults.memberSlow)
    if (isSlow) coverage.note('slow member')
    const delayMs = isSlow ? random.below(6000) : 1 + random.below(3)
    let isOver = false
    const end = (result: Result<Value, AdminFailure>): void =>
      process.enter(() => {
        if (!isOver) resolve(result)
        isOver = true
      })
    process.after(call.withinMs, () => end(err({ kind: 'unreachable', message: 'no answer in time' })))
    world.schedule.after(delayMs, () => {
      const member = memberAt(world, call.url)
      if (isLost || delayMs >= call.withinMs || member?.isUnreachable === true) return
      if (member === undefined || !member.isUp) return end(err(UNREACHABLE))
      world.checked(() =>
        arrive(world, process, call, member, (result) => {
          world.log.add(
            process.name,
            `${call.what} → ${result.ok ? 'done' : `${result.error.code}: ${result.error.message}`}`,
          )
          if (!isAnswerLost)
            world.schedule.after(1, () => end(result.ok ? result : err({ kind: 'refused', error: result.error })))
        }),
      )
      process.afterCall()
      // Reset, or silence until the time limit.
      if (isAnswerLost && random.chance(0.7)) world.schedule.after(2, () => end(err(UNREACHABLE)))
    })
  })
}

function arrive<Value>(
  world: World,
  process: OperatorProcess,
  { token, what, request, act }: Mutation<Value>,
  member: MemberProcess,
  answer: (result: Result<Value, AdminError>) => void,
): void {
  const secret = textAt(world.server.get('Secret', `${world.name}-admin-token`), 'data', 'token')
  if (secret === '' || Buffer.from(secret, 'base64').toString() !== token)
    return answer(err({ code: 'Unauthorized', message: 'another token' }))
  world.log.add(process.name, `${what} at ${member.name} ${JSON.stringify(request).slice(0, 220)}`)
  world.oracle.memberMutation(process.identity, what, request, member)
  // Somebody with etcdctl was a moment faster: that change is made already, or slow and still under way.
  const { random, faults, schedule } = world
  const isFaster = random.chance(faults.conflict / 4) && what !== 'bootstrap' && addByHand(world)
  if (isFaster) schedule.after(MADE_BY_HAND_MS, () => world.checked(() => act(member, answer)))
  else act(member, answer)
}

function memberAt(world: World, url: string): MemberProcess | undefined {
  return world.kubelet.running.find(({ address }) => url === `http://${address}:8080`)
}
