/**
 * Lets everything run that is ready to run, without going back to the event loop: promises are then part of the simulated
 * world, and nothing else of the machine is. V8 has the function for its own tests; it does nothing while microtasks run,
 * so a simulation is begun by {@link outsideOfMicrotasks}.
 */
import { setFlagsFromString } from 'node:v8'

function findCheckpoint(): () => void {
  setFlagsFromString('--allow-natives-syntax')
  // oxlint-disable-next-line typescript/no-implied-eval -- the only way to write it: no parser but V8's knows the syntax
  const checkpoint = new Function('%PerformMicrotaskCheckpoint()')
  checkpoint() // it is compiled by the first call, while its syntax is allowed
  setFlagsFromString('--no-allow-natives-syntax')
  return () => void checkpoint()
}

export const settlePromises = findCheckpoint()

export function outsideOfMicrotasks<Value>(run: () => Value): Promise<Value> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(run())
      } catch (error) {
        reject(error)
      }
    })
  })
}
