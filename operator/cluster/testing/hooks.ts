/** Around each change that the operator makes: where its process may end, or an answer get lost. */

/** The operator's process ends here: a reconcile that goes on after it does so in vain. */
export class Crash extends Error {}

export interface Hooks {
  before?(what: 'kube' | 'admin'): void | Promise<void>
  after?(what: 'kube' | 'admin'): void
}

/** After a crash nothing is done any more, whatever the reconcile would still do. */
export function mortal(hooks: Hooks): Hooks {
  let end: Crash | undefined
  const step = (hook: () => void | Promise<void>): void | Promise<void> => {
    if (end !== undefined) throw end
    try {
      return hook()
    } catch (error) {
      if (error instanceof Crash) end = error
      throw error
    }
  }
  return { before: (what) => step(() => hooks.before?.(what)), after: (what) => void step(() => hooks.after?.(what)) }
}

export async function around<T>(hooks: Hooks, what: 'kube' | 'admin', effect: () => T): Promise<T> {
  await hooks.before?.(what)
  const result = effect()
  hooks.after?.(what)
  return result
}
