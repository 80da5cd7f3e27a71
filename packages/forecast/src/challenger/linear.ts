// linear.ts: small dense least squares: solves normal equations in place. Not here: what the columns mean.

/**
 * Solves `matrix * x = right` for a symmetric positive definite matrix by Cholesky.
 * @param matrix row by row, `size * size`; only its lower triangle is read, and it is overwritten
 * @param right `size` values, overwritten by the solution
 * @returns false when the matrix is not positive definite; both arguments are then worthless
 */
export function solvePositive(matrix: Float64Array, right: Float64Array, size: number): boolean {
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = matrix[row * size + column] ?? 0;
      for (let k = 0; k < column; k++) sum -= (matrix[row * size + k] ?? 0) * (matrix[column * size + k] ?? 0);
      if (row !== column) matrix[row * size + column] = sum / (matrix[column * size + column] ?? 1);
      else if (sum > 0 && sum < Infinity) matrix[row * size + row] = Math.sqrt(sum);
      else return false;
    }
  }
  for (let row = 0; row < size; row++) {
    let sum = right[row] ?? 0;
    for (let k = 0; k < row; k++) sum -= (matrix[row * size + k] ?? 0) * (right[k] ?? 0);
    right[row] = sum / (matrix[row * size + row] ?? 1);
  }
  for (let row = size - 1; row >= 0; row--) {
    let sum = right[row] ?? 0;
    for (let k = row + 1; k < size; k++) sum -= (matrix[k * size + row] ?? 0) * (right[k] ?? 0);
    right[row] = sum / (matrix[row * size + row] ?? 1);
  }
  return right.every(Number.isFinite);
}
