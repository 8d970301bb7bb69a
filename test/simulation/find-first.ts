/** Seeds from 1 on, until one goes wrong: for tests and hunts of worlds that are about one thing. */
import { outsideOfMicrotasks } from './microtasks.ts'

export interface Found {
  /** Seeds that were run. */
  readonly tried: number
  readonly wrong: string | undefined
}

/** `play` says what is wrong, or throws it. */
export async function findFirst(seeds: number, play: (seed: number) => string | undefined): Promise<Found> {
  for (let seed = 1; seed <= seeds; seed++) {
    const wrong = await outsideOfMicrotasks(() => play(seed)).catch(String)
    if (wrong !== undefined) return { tried: seed, wrong }
  }
  return { tried: seeds, wrong: undefined }
}
