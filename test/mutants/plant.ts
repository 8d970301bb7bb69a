/**
 * Planted bugs: a mutant is one exact text in one file of the product, replaced while the module is loaded, in a process
 * of its own. Nothing on disk changes. A mutant whose text is not found, or is found twice, fails instead of passing.
 *
 * `runMutant` starts a checking program with the mutant in it; the program must end with a code other than 0, which says
 * that it noticed. Neighbours: preload.ts (runs first in the child).
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Mutant {
  /** What is broken, in words. */
  readonly name: string
  /** From the root of the repository, with forward slashes. */
  readonly file: string
  /** Stands exactly once in the file. */
  readonly find: string
  readonly replace: string
}

export interface MutantRun {
  readonly mutant: Mutant
  readonly verdict: 'caught' | 'survived' | 'not planted' | 'timed out'
  /** What the program printed, both streams in the order in which they came; the last 256 KiB. */
  readonly output: string
  readonly seconds: number
}

export interface RunOptions {
  /** Absolute path of the program that checks. */
  readonly program: string
  readonly args: readonly string[]
  readonly timeoutMs: number
}

const ROOT = join(import.meta.dirname, '..', '..')
const VARIABLE = 'PLANTED_MUTANT'
const MAX_OUTPUT_LENGTH = 256 * 1024
/** The child's exit code when the mutant's module was never loaded, or its text is not there. */
const NOT_PLANTED = 97

/** Replaces the text; throws when it is not there exactly once. */
export function mutate(source: string, { name, file, find, replace }: Mutant): string {
  const first = source.indexOf(find)
  if (first === -1) throw new Error(`mutant "${name}": its text is not in ${file}`)
  if (source.includes(find, first + 1)) throw new Error(`mutant "${name}": its text is in ${file} more than once`)
  return source.slice(0, first) + replace + source.slice(first + find.length)
}

/** Throws when the mutant does not fit the sources as they are. */
export function assertFits(mutant: Mutant): void {
  mutate(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant)
}

/** Plants the mutant into this process; its module must not be loaded yet. The answer says whether it has been since. */
export function plant(mutant: Mutant): { readonly isLoaded: () => boolean } {
  const target = pathToFileURL(join(ROOT, mutant.file)).href
  let isLoaded = false
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context)
      if (url !== target) return loaded
      isLoaded = true
      return { ...loaded, source: mutate(readFileSync(join(ROOT, mutant.file), 'utf8'), mutant) }
    },
  })
  return { isLoaded: () => isLoaded }
}

/** For preload.ts: plants what the parent asked for. */
export function plantFromEnvironment(): void {
  const text = process.env[VARIABLE]
  if (text === undefined) return
  const mutant = JSON.parse(text) as Mutant
  assertFits(mutant)
  const { isLoaded } = plant(mutant)
  process.on('exit', () => {
    if (!isLoaded()) process.exitCode = NOT_PLANTED
  })
}

export function runMutant(mutant: Mutant, { program, args, timeoutMs }: RunOptions): Promise<MutantRun> {
  const startedMs = performance.now()
  const preload = pathToFileURL(join(import.meta.dirname, 'preload.ts')).href
  return new Promise((resolve, reject) => {
    assertFits(mutant)
    const child = spawn(process.execPath, ['--import', preload, program, ...args], {
      env: { ...process.env, [VARIABLE]: JSON.stringify(mutant) },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    const keep = (chunk: Buffer): void => void (output = (output + chunk.toString()).slice(-MAX_OUTPUT_LENGTH))
    child.stdout.on('data', keep)
    child.stderr.on('data', keep)
    let isLate = false
    const timer = setTimeout(() => {
      isLate = true
      child.kill('SIGKILL')
    }, timeoutMs)
    child.on('error', reject)
    child.on('close', (code) => {
      clearTimeout(timer)
      const verdict = isLate ? 'timed out' : code === NOT_PLANTED ? 'not planted' : code === 0 ? 'survived' : 'caught'
      resolve({ mutant, verdict, output, seconds: (performance.now() - startedMs) / 1000 })
    })
  })
}
