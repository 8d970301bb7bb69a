/** Nobody promises how soon a process that shares a busy core has done something: what takes longer has failed. */
export const PATIENCE_MS = 60_000
const LOOK_MS = 5

/** Waits until it is so; fails in the end, naming what was waited for. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS
  while (!isSo()) {
    if (performance.now() > deadlineMs) throw new Error(`waited in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
  }
}
