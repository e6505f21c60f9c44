# The gdb session of station 6.
set print frame-arguments none
break 6-cuda.cu:35 if blockIdx.x == 1 && blockIdx.y == 0 && threadIdx.x == 37
run
print threadIdx
print warp
print lane
print tile[row + 1][column + 1]
print x[r * width + c]
print sum
kill
