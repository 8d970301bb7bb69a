/** What was recorded, held against what was promised. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { checkConditions } from '../checks/conditions.ts'
import { checkConfigurations, mergeHistories, removals } from '../checks/configurations.ts'
import { checkVolumes } from '../checks/volumes.ts'
import { failedRepeats, longestGaps, verifyWrites, type Put } from '../checks/writes.ts'
import { readBack, stopWriting, type Written } from '../cluster/ledger.ts'
import type { OutputKeeper } from '../cluster/output-keeper.ts'
import { CLUSTER, NAMESPACE, OPERATOR_NAMESPACE, RELEASE, volumeName } from '../names.ts'
import type { Report } from '../report.ts'
import { podLogs, seconds, type Context, type ScenarioOptions } from './context.ts'
import { ROLLOUT } from './steps.ts'

/** Ends the writing and reads everything back. */
export async function collectWrites({ kube, report }: Context): Promise<Written> {
  return report.step('stop the writers and read back every key', async () => {
    const puts = await stopWriting(kube, NAMESPACE)
    return { puts, stored: await readBack(kube, NAMESPACE) }
  })
}

export function judgeWrites(context: Context, { puts, stored }: Written): void {
  const { report, leaderKill } = context
  const acknowledged = puts.filter(({ revision }) => revision !== undefined)
  const unknown = puts.length - acknowledged.length
  report.note(
    `${puts.length} puts: ${acknowledged.length} acknowledged, ${unknown} of unknown outcome; ${stored.length} keys stored`,
  )
  for (const [problem, count] of tally(puts)) report.note(`    ${count} times: ${problem}`)
  report.check('something was written', acknowledged.length > 100 ? [] : [`${acknowledged.length} writes acknowledged`])
  report.check('every acknowledged write is readable, with its value, in order', verifyWrites(puts, stored))
  judgeRepeats(context, puts)
  const gaps = longestGaps(puts, leaderKill)
  report.note(`the longest gap outside the leader kill began at ${new Date(gaps.outsideAtMs).toISOString()}`)
  const title = 'longest gap between two acknowledged writes'
  report.figure({ title: `${title}, leader kill excepted`, value: seconds(gaps.outsideMs), unit: 's', target: 1 })
  report.figure({ title: `${title}, at the leader kill`, value: seconds(gaps.insideMs), unit: 's', target: 3 })
  for (const writer of new Set(puts.map(({ writer }) => writer))) {
    const { outsideMs } = longestGaps(
      puts.filter((put) => put.writer === writer),
      leaderKill,
    )
    report.figure({
      title: `the same for writer ${writer} alone, leader kill excepted`,
      value: seconds(outsideMs),
      unit: 's',
    })
  }
}

/** What an application sees that repeats its puts: nothing, whatever is done on purpose. */
function judgeRepeats({ report, leaderKill, phases }: Context, puts: readonly Put[]): void {
  const failed = failedRepeats(puts, leaderKill)
  const rollout = phases.find(({ title }) => title === ROLLOUT)
  const during = puts.filter(
    ({ mayRepeat, sentMs }) =>
      mayRepeat && rollout !== undefined && sentMs >= rollout.fromMs && sentMs <= rollout.untilMs,
  )
  const longestMs = Math.max(0, ...during.map(({ sentMs, answeredMs }) => answeredMs - sentMs))
  report.note(
    `the rollout met ${during.length} puts of a client that repeats on Unavailable: ` +
      `${during.filter(({ problem }) => problem !== undefined).length} failed, the longest took ${Math.round(longestMs)} ms`,
  )
  report.check('there were such puts during the rollout', during.length > 100 ? [] : [`${during.length} puts`])
  report.check(
    'no request failed where the client repeats on Unavailable, leader kill excepted',
    failed.map(({ key, sentMs, problem }) => `${key}, sent at ${new Date(sentMs).toISOString()}: ${problem}`),
  )
}

export function judgeMembership({ report, recorder }: Context): void {
  const { histories, configSeenAtMs, memberNames, volumes } = recorder.recording
  const { rows, problems } = mergeHistories(histories)
  report.note(`${rows.length} configurations seen in the members' histories`)
  // 1 of the seed, 2 for each of the nine members that came, 1 for each of the seven that went.
  report.check(
    'the members tell of every membership change',
    rows.length === 26 ? [] : [`${rows.length} configurations, not 26`],
  )
  report.check('all members tell the same history of configurations', problems)
  report.check('at most one membership change was ever in flight', checkConfigurations(rows))
  const removed = removals(rows).map(({ id, index }) => ({
    memberId: id,
    memberName: memberNames.get(id) ?? `(a member without a name, ${id})`,
    atMs: configSeenAtMs.get(index) ?? Number.POSITIVE_INFINITY,
  }))
  report.check(
    'the volume of a removed member went after its removal, and no other',
    checkVolumes(volumes, removed, volumeName),
  )
}

export function judgeConditions({ report, recorder, phases }: Context): void {
  const { clusters } = recorder.recording
  report.note(`${clusters.length} states of the RaftCluster seen`)
  report.check('the conditions were true to what was going on', checkConditions(clusters, phases))
}

/** Without that of `helm test`. */
const OPERATORS_LOG = new RegExp(`^${OPERATOR_NAMESPACE}\\.${RELEASE}-(?!test)`)

/** Whatever clients saw: no program may have died, or have met what it calls an error. */
export function judgePrograms({ report, recorder, leaderKill, options }: Context): void {
  const restarted = [...recorder.recording.restarts.values()].filter(({ uid }) => uid !== leaderKill.podUid)
  report.check(
    'no member ended by itself',
    restarted.map(({ pod, exitCode }) => `${pod} ended with ${exitCode} and was started again`),
  )
  const folder = podLogs(options)
  const errors = readdirSync(folder)
    .filter((file) => file.startsWith(`${NAMESPACE}.${CLUSTER}-`) || OPERATORS_LOG.test(file))
    .flatMap((file) => errorLines(readFileSync(join(folder, file), 'utf8')).map((line) => `${file}: ${line}`))
  report.check('neither members nor operator logged an error', errors)
}

/** The last of all: in what every pod, event, status and argument of the run said, and in the logs of Kubernetes itself. */
export function judgeSecrets(report: Report, output: OutputKeeper, { isBox, cache }: ScenarioOptions): void {
  const { values, problems } = output.disclosed(isBox ? [join(cache, 'box', 'logs')] : [])
  report.note(`${values} traces of what is in Secrets are looked for in all output`)
  report.check('nothing that is in a Secret is in a log, an event, a status or an argument', problems)
}

const LogLine = z.looseObject({
  level: z.union([z.number(), z.string()]),
  msg: z.string().default(''),
  err: z.looseObject({ message: z.string() }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
})
/** What `kubectl logs` says when its pod goes stands in the same file. */
const OF_KUBECTL = /^(error:|Error from server|failed to|unable to retrieve|rpc error)/
const ERROR_LEVELS = new Set<unknown>([50, 60, 'error', 'fatal'])

function errorLines(log: string): string[] {
  return log.split('\n').flatMap((line) => {
    if (line === '') return []
    const parsed = LogLine.safeParse(jsonOrNothing(line)).data
    if (parsed === undefined) return OF_KUBECTL.test(line) ? [] : [line.slice(0, 200)] // a crash before the logger was there
    const { level, msg, err, error } = parsed
    return ERROR_LEVELS.has(level) ? [`${msg}: ${(err ?? error)?.message ?? ''}`] : []
  })
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** How often each problem was met, without the figures of the single case. */
function tally(puts: readonly Put[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const { problem } of puts) {
    const kind = problem?.replace(/(Deadline exceeded).*/, '$1')
    if (kind !== undefined) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  }
  return counts
}
