/* The route table: each path with the view that answers it; a final "*" stands for the rest of a
 * path. GET is for HEAD too. This file has no include guard: view.h includes it to declare the
 * views, and route.c to make the table. */
GET("/", echo_page)
GET("/echo", echo_get)
GET("/echo/", echo_get)
GET("/serialize/echo/", echo_get)
GET("/chat", chat_get)
POST("/chat", chat_post)
GET("/chat/*", chat_get)
POST("/chat/*", chat_post)
