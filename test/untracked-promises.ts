/**
 * Loaded before every test file (main.ts). Node's test runner follows every promise back to the test that made it, only to know
 * which test an error belongs to that nobody caught. That costs a tenth of the CPU of tests that await much. Here such an error
 * ends the file, with its stack, as it would end a program.
 */
import asyncHooks, { type AsyncHook } from 'node:async_hooks'

const { createHook } = asyncHooks
const idle: AsyncHook = { enable: () => idle, disable: () => idle }

/** The runner is the first to ask. */
function createIdleHook(): AsyncHook {
  Object.assign(asyncHooks, { createHook })
  return idle
}

function end(error: unknown): void {
  console.error(error)
  process.exit(1)
}

Object.assign(asyncHooks, { createHook: createIdleHook })
process.on('uncaughtException', end)
process.on('unhandledRejection', end)
