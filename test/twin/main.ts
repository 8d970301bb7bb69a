/**
 * The twin test: the same requests to a real etcd and to ours, answers compared field by field. First the cases, each
 * written by hand for one rule; then generated sequences, one for each seed. What differs is shrunk and printed with the
 * command that replays it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { ensureTwin } from '../e2e/machine/peers.ts'
import { createReport } from '../e2e/report.ts'
import { parseSettings } from '../e2e/settings.ts'
import { CASES, type Case } from './cases/cases.ts'
import { DIFFERENCES } from './differences.ts'
import { parseOptions, USAGE, type Options } from './options.ts'
import { printed, printedExchange } from './print.ts'
import { areInStep, cleanTwin, runSequence, runWithUsers } from './sequence/run.ts'
import { sequence } from './sequence/arbitrary.ts'
import { usersSequence } from './sequence/users.ts'
import { compareOverTls } from './over-tls.ts'
import { Servers } from './servers.ts'
import type { Exchange, Twin } from './twin.ts'

/** Shrinking ends then with the shortest sequence found so far. */
const SHRINK_LIMIT_MS = 20_000
/** More would say the same again and again. */
const MOST_FAILED_SEEDS = 5

const OVER_TLS = 'etcdctl and the gateway over TLS, with users'

/** Of generated sequences. */
interface Kind<Sequence> {
  readonly title: string
  /** How they are asked for alone. */
  readonly option: string
  readonly arbitrary: fc.Arbitrary<Sequence>
  readonly run: (servers: Servers, sequence: Sequence) => Promise<Twin>
}

class TwinTest {
  readonly #options: Options
  readonly #programs: string
  readonly #seen = new Set<string>()
  #servers: Servers | undefined
  failures = 0
  exchanges = 0

  constructor(options: Options, programs: string) {
    this.#options = options
    this.#programs = programs
  }

  async run(): Promise<void> {
    try {
      const { cases } = this.#options
      const chosen = CASES.filter(({ name }) => cases === undefined || name.includes(cases))
      for (const each of chosen) await this.#case(each)
      if (cases === undefined || OVER_TLS.includes(cases)) await this.#overTls()
      if (cases === undefined || cases === 'none') await this.#sequences()
      if (cases === undefined) this.#reportUnseen()
    } finally {
      await this.#servers?.close()
    }
  }

  /** After a difference the two may hold different things: then others take their place. */
  async #inStep(): Promise<Servers> {
    if (this.#servers !== undefined && !(await areInStep(this.#servers).catch(() => false))) await this.#restart()
    this.#servers ??= await Servers.start(join(this.#programs, 'etcd'))
    return this.#servers
  }

  async #restart(): Promise<void> {
    await this.#servers?.close()
    this.#servers = undefined
  }

  async #case({ name, run, needsNewServers }: Case): Promise<void> {
    if (needsNewServers === true) await this.#restart()
    const startedMs = performance.now()
    const twin = await cleanTwin(await this.#inStep())
    await run(twin)
    const differences = this.#collect(twin)
    const took = `${(performance.now() - startedMs).toFixed(0)} ms`
    if (differences.length === 0) return this.#say(`ok      ${name} (${twin.exchanges.length} requests, ${took})`)
    this.failures += 1
    console.log(`DIFFERS ${name} (${took})`)
    for (const exchange of differences) console.log(`  ${printedExchange(exchange)}`)
    console.log(`  again: npm run test:twin -- --cases '${name}'`)
  }

  async #overTls(): Promise<void> {
    const startedMs = performance.now()
    const { steps, differences, allowed } = await compareOverTls(this.#programs)
    const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
    for (const id of allowed) this.#seen.add(id)
    if (differences.length === 0) return this.#say(`ok      ${OVER_TLS} (${steps} requests, ${took})`)
    this.failures += differences.length
    for (const difference of differences) console.log(`DIFFERS over TLS: ${difference}`)
    console.log(`  again: npm run test:twin -- --cases '${OVER_TLS}'`)
  }

  async #sequences(): Promise<void> {
    const { isWithUsers, without } = this.#options
    const services = { hasLeases: !without.has('lease'), hasWatches: !without.has('watch') }
    if (!isWithUsers) await this.#seeds({ title: 'seed', option: '', arbitrary: sequence(services), run: runSequence })
    const arbitrary = usersSequence({ ...services, hasWatches: false })
    await this.#seeds({ title: 'seed with users', option: ' --users', arbitrary, run: runWithUsers })
  }

  async #seeds<Sequence>(kind: Kind<Sequence>): Promise<void> {
    const { seeds, firstSeed } = this.#options
    const before = this.failures
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++) {
      await this.#seed(seed, kind)
      if (this.failures - before >= MOST_FAILED_SEEDS) return console.log(`the seeds after ${seed} are left out`)
    }
  }

  async #seed<Sequence>(seed: number, { title, option, arbitrary, run }: Kind<Sequence>): Promise<void> {
    const { path } = this.#options
    const startedMs = performance.now()
    let last: Twin | undefined
    let shrunk: readonly Exchange[] = []
    const property = fc.asyncProperty(arbitrary, async (sequence) => {
      last = await run(await this.#inStep(), sequence)
      if (this.#collect(last).length === 0) return true
      shrunk = last.exchanges
      return false
    })
    const found = await fc.check(property, {
      seed,
      numRuns: 1,
      interruptAfterTimeLimit: SHRINK_LIMIT_MS,
      ...(path === undefined ? {} : { path, endOnFailure: true }),
    })
    const took = `${((performance.now() - startedMs) / 1000).toFixed(2)} s`
    if (!found.failed) return this.#say(`ok      ${title} ${seed} (${last?.exchanges.length ?? 0} requests, ${took})`)
    this.failures += 1
    console.log(`DIFFERS ${title} ${seed} (${took}), shrunk ${found.numShrinks} times to:`)
    console.log(printed(shrunk))
    if (found.errorInstance !== null)
      console.log(
        `  ${found.errorInstance instanceof Error ? found.errorInstance.message : JSON.stringify(found.errorInstance)}`,
      )
    const replay = found.counterexamplePath === null ? '' : ` --path ${found.counterexamplePath}`
    console.log(`  again: npm run test:twin -- --cases none${option} --seed ${seed}${replay}`)
  }

  #collect(twin: Twin): readonly Exchange[] {
    this.exchanges += twin.exchanges.length
    for (const { found } of twin.exchanges)
      for (const { allowed } of found) if (allowed !== undefined) this.#seen.add(allowed.id)
    return twin.differences
  }

  #reportUnseen(): void {
    for (const { id, what } of DIFFERENCES.filter(({ id }) => !this.#seen.has(id))) {
      this.failures += 1
      console.log(`DIFFERS no more: '${id}' (${what}) stands in differences.ts and did not occur`)
    }
  }

  #say(text: string): void {
    if (!this.#options.isQuiet) console.log(text)
  }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  const settings = parseSettings(
    { ...process.env, KUBECONFIG: undefined, RAFTKV_E2E_IMAGE: undefined },
    join(import.meta.dirname, '..', '..'),
  )
  if ('problem' in options || !settings.ok) {
    console.error('problem' in options ? `${options.problem}\n${USAGE}` : 'no settings')
    return 2
  }
  const { cache, root } = settings.settings
  mkdirSync(cache, { recursive: true })
  const programs = await ensureTwin(createReport(console.log, Date.now), root, cache)
  const startedMs = performance.now()
  const test = new TwinTest(options, programs)
  await test.run()
  const took = ((performance.now() - startedMs) / 1000).toFixed(1)
  const verdict = test.failures === 0 ? 'the twins agree' : `${test.failures} FAILED`
  console.log(`twin test: ${verdict}; ${test.exchanges} requests to each, ${took} s`)
  return test.failures === 0 ? 0 : 1
}

process.exitCode = await main()
