import type { Run } from './simulation.ts'

export function checkHistories(_run: Run): void {}
